// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title BatchPayoutNotices
/// @notice What batch payouts tell the world: events, from which the backend learns every fact, and errors.
interface BatchPayoutNotices {
    /// @notice All totals of a manifest, and the room for its fees, were deposited.
    /// @param batch Struct hash of the manifest.
    /// @param payer Account that gets back whatever is not paid.
    /// @param root Root of the tree over the rows.
    /// @param rows Number of rows.
    event BatchFunded(bytes32 indexed batch, address indexed payer, bytes32 root, uint32 rows);
    /// @notice A row was paid, for the first and only time.
    /// @param batch Struct hash of the manifest.
    /// @param index Position of the row.
    /// @param recipient Account that received the amount.
    /// @param token Token paid; the zero address is the native coin.
    /// @param amount Atoms the recipient received.
    /// @param fee Atoms taken from the payer's deposit on top.
    event RowPaid(
        bytes32 indexed batch,
        uint32 indexed index,
        address indexed recipient,
        address token,
        uint256 amount,
        uint256 fee
    );
    /// @notice A row failed, moved nothing and can be tried again.
    /// @param batch Struct hash of the manifest.
    /// @param index Position of the row.
    /// @param reason At most the first 256 bytes of the revert data.
    event RowFailed(bytes32 indexed batch, uint32 indexed index, bytes reason);
    /// @notice The payer forbade further payments; what was unspent went back as {BatchReturned} tells.
    /// @param batch Struct hash of the manifest.
    /// @param payer Account that cancelled.
    event BatchCancelled(bytes32 indexed batch, address indexed payer);
    /// @notice Unspent money of a batch went back to its payer.
    /// @param batch Struct hash of the manifest.
    /// @param payer Account that received it.
    /// @param token Token returned; the zero address is the native coin.
    /// @param amount Atoms returned.
    event BatchReturned(bytes32 indexed batch, address indexed payer, address indexed token, uint256 amount);

    /// @notice The payer has cancelled the batch.
    error BatchIsCancelled();
    /// @notice The batch was funded before; it can be funded once.
    error BatchIsFunded();
    /// @notice The batch was never funded.
    error BatchNotFunded();
    /// @notice The window of the manifest has not opened.
    error BatchNotYetValid(uint64 validAfter);
    /// @notice The window of the manifest has closed.
    error BatchExpired(uint64 validUntil);
    /// @notice The window is open and rows are unpaid, so the deposit is still needed.
    error BatchStillOpen(uint64 validUntil);
    /// @notice The native coin sent is not what the manifest totals.
    error WrongValue(uint256 expected, uint256 given);
    /// @notice The rows are not those of the signed root.
    error InvalidProof();
    /// @notice Every row of the call was paid before.
    error NothingToPay();
    /// @notice The row can never be paid: no recipient, or no amount.
    error InvalidRow(uint32 index);
}
