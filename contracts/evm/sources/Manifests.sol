// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a batch may spend of one token at most.
/// @param token ERC-20 token, or the zero address for the native coin.
/// @param amount Atoms for all recipients together.
/// @param maxFee Highest platform fee of the whole batch, in atoms, on top of `amount`.
struct TokenTotal {
    address token;
    uint128 amount;
    uint128 maxFee;
}

/// @notice What a payer signs for a batch of payments: the only terms under which it is paid.
/// @param payer Account whose money is spent; an EOA or a contract account (ERC-1271).
/// @param root Root of the tree over all rows, see {PayoutTree}.
/// @param rows Number of rows.
/// @param validAfter First second (Unix time) at which rows are paid.
/// @param validUntil Last second (Unix time) at which rows are paid.
/// @param maxGasPrice Highest `tx.gasprice` in wei at which rows are paid.
/// @param salt Makes otherwise equal manifests distinct.
/// @param totals Totals per token, in ascending order of the token's address.
struct Manifest {
    address payer;
    bytes32 root;
    uint32 rows;
    uint64 validAfter;
    uint64 validUntil;
    uint256 maxGasPrice;
    bytes32 salt;
    TokenTotal[] totals;
}

/// @title Manifests
/// @notice Hash and well-formedness of a manifest: pure functions of its terms.
library Manifests {
    /// @notice The manifest breaks a rule every manifest must satisfy.
    /// @param term Name of the offending term.
    error InvalidManifest(bytes32 term);

    /// @dev Most tokens of one manifest.
    uint256 internal constant MAX_TOKENS = 16;
    /// @dev Most rows of one manifest.
    uint256 internal constant MAX_ROWS = 1 << 20;
    /// @dev EIP-712 type hash of {TokenTotal}.
    bytes32 internal constant TOTAL_TYPE_HASH =
        keccak256("TokenTotal(address token,uint128 amount,uint128 maxFee)");
    /// @dev EIP-712 type hash of {Manifest}.
    bytes32 internal constant TYPE_HASH = keccak256(
        "Manifest(address payer,bytes32 root,uint32 rows,uint64 validAfter,uint64 validUntil,uint256 maxGasPrice,"
        "bytes32 salt,TokenTotal[] totals)TokenTotal(address token,uint128 amount,uint128 maxFee)"
    );

    /// @notice EIP-712 struct hash of the manifest, which is the batch's identity in storage and events.
    function hash(Manifest calldata manifest) internal pure returns (bytes32) {
        bytes32[] memory totals = new bytes32[](manifest.totals.length);
        for (uint256 i = 0; i < totals.length; ++i) {
            totals[i] = keccak256(abi.encode(TOTAL_TYPE_HASH, manifest.totals[i]));
        }
        return keccak256(
            abi.encode(
                TYPE_HASH,
                manifest.payer,
                manifest.root,
                manifest.rows,
                manifest.validAfter,
                manifest.validUntil,
                manifest.maxGasPrice,
                manifest.salt,
                keccak256(abi.encodePacked(totals))
            )
        );
    }

    /// @notice Reverts unless the terms make sense for the contract `payout`.
    function validate(Manifest calldata manifest, address payout) internal pure {
        if (manifest.payer == address(0) || manifest.payer == payout) revert InvalidManifest("payer");
        if (manifest.rows == 0 || manifest.rows > MAX_ROWS) revert InvalidManifest("rows");
        if (manifest.validUntil < manifest.validAfter) revert InvalidManifest("validUntil");
        uint256 count = manifest.totals.length;
        if (count == 0 || count > MAX_TOKENS) revert InvalidManifest("totals");
        for (uint256 i = 0; i < count; ++i) {
            TokenTotal calldata total = manifest.totals[i];
            if (total.amount == 0) revert InvalidManifest("amount");
            if (total.token == payout || (i > 0 && total.token <= manifest.totals[i - 1].token)) {
                revert InvalidManifest("token");
            }
        }
    }
}
