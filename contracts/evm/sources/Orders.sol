// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a payer agrees to: the only terms under which the escrow moves the payer's money.
/// @param payer Account whose money is spent; an EOA or a contract account (ERC-1271).
/// @param recipient Account that receives every execution.
/// @param token ERC-20 token, or the zero address for the native coin.
/// @param amount Atoms of `token` the recipient receives per execution.
/// @param validAfter First second (Unix time) at which an execution is allowed; also the start of the recurrence.
/// @param validUntil Last second (Unix time) at which an execution is allowed.
/// @param maxGasPrice Highest `tx.gasprice` in wei at which an execution is allowed.
/// @param safetyBuffer Least atoms of `token` left in the payer's own wallet after an execution.
/// @param minInterval Seconds between two occurrences; zero only for an order that executes once.
/// @param maxExecutions How many times the order may execute.
/// @param maxFee Highest platform fee per execution, in atoms of `token`, on top of `amount`.
/// @param salt Makes otherwise equal orders distinct.
struct Order {
    address payer;
    address recipient;
    address token;
    uint256 amount;
    uint64 validAfter;
    uint64 validUntil;
    uint256 maxGasPrice;
    uint256 safetyBuffer;
    uint64 minInterval;
    uint32 maxExecutions;
    uint256 maxFee;
    bytes32 salt;
}

/// @title Orders
/// @notice Hash, well-formedness and recurrence of an order: pure functions of its terms.
library Orders {
    /// @notice The order breaks a rule every order must satisfy.
    /// @param term Name of the offending term.
    error InvalidOrder(bytes32 term);

    /// @dev EIP-712 type hash of {Order}.
    bytes32 internal constant TYPE_HASH = keccak256(
        "Order(address payer,address recipient,address token,uint256 amount,uint64 validAfter,uint64 validUntil,"
        "uint256 maxGasPrice,uint256 safetyBuffer,uint64 minInterval,uint32 maxExecutions,uint256 maxFee,bytes32 salt)"
    );

    /// @notice EIP-712 struct hash of the order, which is its identity in storage and events.
    function hash(Order calldata order) internal pure returns (bytes32) {
        return keccak256(abi.encode(TYPE_HASH, order));
    }

    /// @notice Reverts unless the terms make sense for the escrow `escrow`.
    function validate(Order calldata order, address escrow) internal pure {
        if (order.payer == address(0) || order.payer == escrow) revert InvalidOrder("payer");
        if (order.recipient == address(0) || order.recipient == escrow || order.recipient == order.payer) {
            revert InvalidOrder("recipient");
        }
        if (order.token == escrow) revert InvalidOrder("token");
        // 128 bits for amount and fee keep every total of an order inside the packed deposit counter.
        if (order.amount == 0 || order.amount > type(uint128).max) revert InvalidOrder("amount");
        if (order.maxFee > type(uint128).max) revert InvalidOrder("maxFee");
        if (order.validUntil < order.validAfter) revert InvalidOrder("validUntil");
        if (order.maxExecutions == 0) revert InvalidOrder("maxExecutions");
        if (order.minInterval == 0 && order.maxExecutions != 1) revert InvalidOrder("minInterval");
    }

    /// @notice How many executions the recurrence allows by the time `timestamp`, which is at or after `validAfter`.
    function allowedExecutions(Order calldata order, uint256 timestamp) internal pure returns (uint256 allowed) {
        if (order.minInterval == 0) return 1;
        allowed = 1 + (timestamp - order.validAfter) / order.minInterval;
        if (allowed > order.maxExecutions) allowed = order.maxExecutions;
    }
}
