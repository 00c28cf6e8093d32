// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title PaymentNotices
/// @notice Events and errors that every contract that pays on a payer's terms has in common.
interface PaymentNotices {
    /// @notice The fee share and its receiver were set.
    /// @param recipient Receiver of fees.
    /// @param basisPoints Share in hundredths of a percent of the amount.
    event FeeSet(address indexed recipient, uint256 basisPoints);
    /// @notice Accrued fees were paid to the fee recipient.
    /// @param token Token of the fees; the zero address is the native coin.
    /// @param recipient Receiver of the fees.
    /// @param amount Atoms paid.
    event FeesWithdrawn(address indexed token, address indexed recipient, uint256 amount);

    /// @notice Only the payer may do this.
    error NotPayer(address caller);
    /// @notice Only the contract itself may call this.
    error NotSelf(address caller);
    /// @notice The transaction's gas price exceeds the payer's limit.
    error GasPriceAboveLimit(uint256 gasPrice, uint256 maxGasPrice);
    /// @notice The signature is not the payer's for these terms on this chain and contract.
    error InvalidSignature();
    /// @notice Nothing was given, or nothing is there to give back.
    error NothingToMove();
    /// @notice The deposit does not cover the payment.
    error InsufficientDeposit(uint256 required, uint256 deposited);
    /// @notice The token moved another amount than asked, as tokens that take a fee on transfer do.
    error UnexpectedBalanceChange(uint256 expected, uint256 measured);
    /// @notice The receiver refused the native coin or used too much gas.
    error NativeTransferFailed(address recipient);
    /// @notice The money could not be returned to its receiver.
    error ReturnFailed(address payer);
    /// @notice Too little gas to tell a failing recipient or item from a starved one.
    error InsufficientGas();
    /// @notice More items than one call may carry.
    error TooManyItems(uint256 maximum, uint256 given);
    /// @notice The fee share is too high or lacks a recipient.
    error InvalidFee(address recipient, uint256 basisPoints);
}
