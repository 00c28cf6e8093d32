// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IntentEscrowNotices
/// @notice What the escrow tells the world: its events, from which the backend learns every fact, and its errors.
interface IntentEscrowNotices {
    /// @notice `amount` atoms were deposited for an order, which now holds `deposited`.
    event Funded(
        bytes32 indexed orderHash, address indexed payer, address token, uint256 amount, uint256 deposited
    );
    /// @notice The recipient was paid `amount` for this occurrence and `fee` was taken from the payer on top.
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
    /// @param reason At most the first 256 bytes of the revert data.
    event ExecutionFailed(bytes32 indexed orderHash, uint32 indexed occurrence, bytes reason);
    /// @notice The payer forbade further executions and got `refunded` back.
    event Cancelled(bytes32 indexed orderHash, address indexed payer, uint256 refunded);
    /// @notice The deposit of an expired order went back to the payer.
    event Returned(bytes32 indexed orderHash, address indexed payer, uint256 amount);
    /// @notice The fee share and its receiver were set.
    event FeeSet(address indexed recipient, uint256 basisPoints);
    /// @notice Accrued fees were paid to the fee recipient.
    event FeesWithdrawn(address indexed token, address indexed recipient, uint256 amount);

    /// @notice Only the payer of the order may do this.
    error NotPayer(address caller);
    /// @notice Only the escrow itself may call this.
    error NotSelf(address caller);
    /// @notice The payer has cancelled the order.
    error OrderCancelled();
    /// @notice The order's window has not opened.
    error OrderNotYetValid(uint64 validAfter);
    /// @notice The order's window has closed.
    error OrderExpired(uint64 validUntil);
    /// @notice The order's window is still open.
    error OrderNotExpired(uint64 validUntil);
    /// @notice The transaction's gas price exceeds the payer's limit.
    error GasPriceAboveLimit(uint256 gasPrice, uint256 maxGasPrice);
    /// @notice The occurrence is not the next one of the order.
    error OccurrenceMismatch(uint32 next, uint32 given);
    /// @notice The recurrence does not allow this occurrence, or not yet.
    error NotDue(uint32 occurrence, uint256 allowed);
    /// @notice The signature is not the payer's for this order on this chain and contract.
    error InvalidSignature();
    /// @notice The order is of the other kind: native where a token is needed, or the reverse.
    error WrongToken(address token);
    /// @notice Nothing was given, or nothing is there to give back.
    error NothingToMove();
    /// @notice The deposit does not cover the execution.
    error InsufficientDeposit(uint256 required, uint256 deposited);
    /// @notice `deposited` and `given` together would exceed `limit`, all that the order can still spend.
    error DepositAboveOrder(uint256 limit, uint256 deposited, uint256 given);
    /// @notice The payer's wallet would keep less than the order demands.
    error SafetyBufferBroken(uint256 safetyBuffer, uint256 remaining);
    /// @notice The token moved another amount than asked, as tokens that take a fee on transfer do.
    error UnexpectedBalanceChange(uint256 expected, uint256 measured);
    /// @notice The receiver refused the native coin or used too much gas.
    error NativeTransferFailed(address recipient);
    /// @notice The deposit could not be returned to the payer.
    error ReturnFailed(address payer);
    /// @notice Too little gas to tell a failing recipient or item from a starved one.
    error InsufficientGas();
    /// @notice More items than one call may carry.
    error TooManyItems(uint256 maximum, uint256 given);
    /// @notice The fee share is too high or lacks a recipient.
    error InvalidFee(address recipient, uint256 basisPoints);
}
