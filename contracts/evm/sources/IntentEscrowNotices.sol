// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IntentEscrowNotices
/// @notice What the escrow tells the world: its events, from which the backend learns every fact, and its errors.
interface IntentEscrowNotices {
    /// @notice `amount` atoms were deposited for an order, which now holds `deposited`.
    /// @param orderHash Struct hash of the order.
    /// @param payer Account whose money it is.
    /// @param token Token deposited; the zero address is the native coin.
    /// @param amount Atoms added.
    /// @param deposited Atoms held for the order now.
    event Funded(
        bytes32 indexed orderHash, address indexed payer, address token, uint256 amount, uint256 deposited
    );
    /// @notice The recipient was paid `amount` for this occurrence and `fee` was taken from the payer on top.
    /// @param orderHash Struct hash of the order.
    /// @param occurrence Number of executions before this one.
    /// @param recipient Account that received the amount.
    /// @param payer Account that paid.
    /// @param token Token paid; the zero address is the native coin.
    /// @param amount Atoms the recipient received.
    /// @param fee Atoms taken on top.
    event Executed(
        bytes32 indexed orderHash,
        uint32 indexed occurrence,
        address indexed recipient,
        address payer,
        address token,
        uint256 amount,
        uint256 fee
    );
    /// @notice An item of {executeMany} failed, moved nothing and consumed no occurrence.
    /// @param orderHash Struct hash of the order.
    /// @param occurrence The occurrence that was asked for.
    /// @param reason At most the first 256 bytes of the revert data.
    event ExecutionFailed(bytes32 indexed orderHash, uint32 indexed occurrence, bytes reason);
    /// @notice The payer forbade further executions and got `refunded` back.
    /// @param orderHash Struct hash of the order.
    /// @param payer Account whose money it is.
    /// @param refunded Atoms returned.
    event Cancelled(bytes32 indexed orderHash, address indexed payer, uint256 refunded);
    /// @notice The deposit of an expired order went back to the payer.
    /// @param orderHash Struct hash of the order.
    /// @param payer Account whose money it is.
    /// @param amount Atoms returned.
    event Returned(bytes32 indexed orderHash, address indexed payer, uint256 amount);

    /// @notice The payer has cancelled the order.
    error OrderCancelled();
    /// @notice The order's window has not opened.
    error OrderNotYetValid(uint64 validAfter);
    /// @notice The order's window has closed.
    error OrderExpired(uint64 validUntil);
    /// @notice The order's window is still open.
    error OrderNotExpired(uint64 validUntil);
    /// @notice The occurrence is not the next one of the order.
    error OccurrenceMismatch(uint32 next, uint32 given);
    /// @notice The recurrence does not allow this occurrence, or not yet.
    error NotDue(uint32 occurrence, uint256 allowed);
    /// @notice The order is of the other kind: native where a token is needed, or the reverse.
    error WrongToken(address token);
    /// @notice `deposited` and `given` together would exceed `limit`, all that the order can still spend.
    error DepositAboveOrder(uint256 limit, uint256 deposited, uint256 given);
    /// @notice The token took no permit, although it did not refuse the call.
    error PermitIgnored(address token);
    /// @notice The payer's wallet would keep less than the order demands.
    error SafetyBufferBroken(uint256 safetyBuffer, uint256 remaining);
}
