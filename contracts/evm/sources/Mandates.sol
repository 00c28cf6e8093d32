// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a payer lets a delegate spend. Every limit counts fees as well.
/// @param payer Account whose money is spent; an EOA or a contract account (ERC-1271).
/// @param delegate Account that decides on payments.
/// @param token ERC-20 token taken from the payer's wallet, or the zero address for prepaid native coin.
/// @param perPayment Most atoms one payment takes.
/// @param perPeriod Most atoms one period takes.
/// @param total Most atoms the mandate ever takes.
/// @param period Seconds of a period; periods follow one another from `validAfter` on.
/// @param validAfter First second (Unix time) of the window.
/// @param validUntil Last second (Unix time) of the window.
/// @param maxGasPrice Highest `tx.gasprice` in wei at which a payment is made.
/// @param maxFee Highest platform fee per payment, in atoms.
/// @param recipients Root of the tree of allowed recipients, see {Mandates}; zero when none is listed.
/// @param anyRecipient Whether others may be paid as well, within the two limits that follow.
/// @param unlistedPerPayment Most atoms one payment to an unlisted recipient takes.
/// @param unlistedPerPeriod Most atoms one period takes for unlisted recipients, as part of `perPeriod`.
/// @param salt Makes otherwise equal mandates distinct.
struct Mandate {
    address payer;
    address delegate;
    address token;
    uint128 perPayment;
    uint128 perPeriod;
    uint128 total;
    uint64 period;
    uint64 validAfter;
    uint64 validUntil;
    uint256 maxGasPrice;
    uint128 maxFee;
    bytes32 recipients;
    bool anyRecipient;
    uint128 unlistedPerPayment;
    uint128 unlistedPerPeriod;
    bytes32 salt;
}

/// @title Mandates
/// @notice Hash and well-formedness of a mandate: pure functions of its terms.
///
/// Leaves of the tree of recipients are keccak256(keccak256(abi.encode(recipient))), nodes hash their children in sorted
/// order: the common format of allow-lists, in which a position has no meaning.
library Mandates {
    /// @notice The mandate breaks a rule every mandate must satisfy.
    /// @param term Name of the offending term.
    error InvalidMandate(bytes32 term);

    /// @dev EIP-712 type hash of {Mandate}.
    bytes32 internal constant TYPE_HASH = keccak256(
        "Mandate(address payer,address delegate,address token,uint128 perPayment,uint128 perPeriod,uint128 total,"
        "uint64 period,uint64 validAfter,uint64 validUntil,uint256 maxGasPrice,uint128 maxFee,bytes32 recipients,"
        "bool anyRecipient,uint128 unlistedPerPayment,uint128 unlistedPerPeriod,bytes32 salt)"
    );

    /// @notice EIP-712 struct hash of the mandate, which is its identity in storage and events.
    function hash(Mandate calldata mandate) internal pure returns (bytes32) {
        return keccak256(abi.encode(TYPE_HASH, mandate));
    }

    /// @notice Reverts unless the terms make sense for the contract `spender`.
    function validate(Mandate calldata mandate, address spender) internal pure {
        if (mandate.payer == address(0) || mandate.payer == spender) revert InvalidMandate("payer");
        if (mandate.token == spender) revert InvalidMandate("token");
        if (mandate.perPayment == 0) revert InvalidMandate("perPayment");
        if (mandate.perPeriod < mandate.perPayment) revert InvalidMandate("perPeriod");
        if (mandate.total < mandate.perPeriod) revert InvalidMandate("total");
        if (mandate.period == 0) revert InvalidMandate("period");
        if (mandate.validUntil < mandate.validAfter) revert InvalidMandate("validUntil");
        if (mandate.anyRecipient) {
            if (mandate.unlistedPerPayment == 0 || mandate.unlistedPerPayment > mandate.perPayment) {
                revert InvalidMandate("unlistedPerPayment");
            }
            if (
                mandate.unlistedPerPeriod < mandate.unlistedPerPayment
                    || mandate.unlistedPerPeriod > mandate.perPeriod
            ) revert InvalidMandate("unlistedPerPeriod");
        } else {
            if (mandate.recipients == 0) revert InvalidMandate("recipients");
            if (mandate.unlistedPerPayment != 0) revert InvalidMandate("unlistedPerPayment");
            if (mandate.unlistedPerPeriod != 0) revert InvalidMandate("unlistedPerPeriod");
        }
    }
}
