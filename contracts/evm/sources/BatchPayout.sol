// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {BatchPayoutNotices} from "./BatchPayoutNotices.sol";
import {Manifest, Manifests, TokenTotal} from "./Manifests.sol";
import {PaymentBase} from "./PaymentBase.sol";
import {PayoutTree, Row} from "./PayoutTree.sol";

/// @title BatchPayout
/// @notice Pays the rows of a manifest that a payer has signed and funded, each row at most once, for ever.
/// One signature covers the whole manifest; one call deposits its totals; executors then pay runs of rows with one proof
/// per run. A row that fails fails alone, moves nothing and can be tried again. The payer alone can cancel, at any time,
/// paused or not, and takes back what is unpaid. No role can move a payer's money anywhere but to the signed rows.
///
/// Tokens that take a fee on transfer are refused by measuring balances. Deposits of one token are pooled, so a token
/// that rebases downwards must not be offered to payers.
contract BatchPayout is BatchPayoutNotices, PaymentBase {
    using Manifests for Manifest;

    /// @notice What the contract remembers of a batch; one storage slot.
    /// @param paid Number of rows paid.
    /// @param funded Whether the totals were deposited.
    /// @param cancelled Whether the payer has forbidden further payments.
    struct BatchState {
        uint32 paid;
        bool funded;
        bool cancelled;
    }

    /// @notice What is left of one token's deposit; one storage slot.
    /// @param amount Atoms for recipients.
    /// @param fee Atoms for fees.
    struct Remainder {
        uint128 amount;
        uint128 fee;
    }

    /// @notice An EIP-2612 permit of the payer for this contract over exactly one total and its highest fee.
    /// @param totalIndex Position of the token among the manifest's totals.
    /// @param deadline Last second (Unix time) of the permit.
    /// @param v Recovery part of the signature.
    /// @param r First part of the signature.
    /// @param s Second part of the signature.
    struct TotalPermit {
        uint8 totalIndex;
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice Gas each row may use.
    uint256 public constant ROW_GAS = 250_000;
    /// @notice Gas the return of one token may use.
    uint256 public constant RETURN_GAS = 250_000;
    /// @notice Most rows of one {pay}.
    uint256 public constant MAX_ROWS_PER_CALL = 256;

    mapping(bytes32 batch => BatchState) private _states;
    mapping(bytes32 batch => mapping(address token => Remainder)) private _remainders;
    mapping(bytes32 batch => mapping(uint256 word => uint256 bits)) private _paidBits;

    /// @param admin Account that administers executors, pausers and the fee; it cannot move payers' money.
    constructor(address admin) PaymentBase(admin) {}

    // ------------------------------------------------------------------------------------------ funding

    /// @notice Deposits every total of a manifest and its highest fee, once.
    /// Sent by the payer it needs no signature; the native total is the value sent. Anyone else needs the payer's
    /// signature and an open window, and can fund only tokens, which come from the payer's wallet by its allowance.
    /// @param manifest The terms.
    /// @param permits Permits to try first; one that fails, such as one that was used before, leaves the allowance as
    /// it is, and too small an allowance reverts the whole call.
    /// @param signature The payer's signature of the manifest; empty when the payer is the caller.
    function fund(Manifest calldata manifest, TotalPermit[] calldata permits, bytes calldata signature)
        external
        payable
        nonReentrant
    {
        manifest.validate(address(this));
        bytes32 batch = manifest.hash();
        BatchState storage state = _states[batch];
        if (state.cancelled) revert BatchIsCancelled();
        if (state.funded) revert BatchIsFunded();
        if (block.timestamp > manifest.validUntil) revert BatchExpired(manifest.validUntil);
        if (msg.sender != manifest.payer) {
            if (block.timestamp < manifest.validAfter) revert BatchNotYetValid(manifest.validAfter);
            if (manifest.totals[0].token == NATIVE) revert NotPayer(msg.sender);
            _requireSignature(manifest.payer, batch, signature);
        }
        state.funded = true;
        emit BatchFunded(batch, manifest.payer, manifest.root, manifest.rows);
        _usePermits(manifest, permits);
        _takeTotals(manifest, batch);
    }

    // ------------------------------------------------------------------------------------------ payment

    /// @notice Pays a run of rows, each with {RowPaid} or, failing alone, with {RowFailed}; rows paid before are passed
    /// over. Reverts as a whole when the gas left could starve a row: a row never fails for the caller's want of gas.
    /// @param manifest The funded terms.
    /// @param firstIndex Index of the first row, a multiple of the run's width.
    /// @param rows At most {MAX_ROWS_PER_CALL} rows; as many as a power of two, or up to the end of the manifest.
    /// @param proof Sibling nodes from the run's subtree up to the root.
    function pay(Manifest calldata manifest, uint32 firstIndex, Row[] calldata rows, bytes32[] calldata proof)
        external
        onlyRole(EXECUTOR_ROLE)
        whenNotPaused
        nonReentrant
    {
        if (rows.length > MAX_ROWS_PER_CALL) revert TooManyItems(MAX_ROWS_PER_CALL, rows.length);
        bytes32 batch = manifest.hash();
        _requireOpen(manifest, _states[batch]);
        if (PayoutTree.rootOf(manifest.rows, firstIndex, rows, proof) != manifest.root) revert InvalidProof();

        uint32 succeeded = 0;
        uint256 tried = 0;
        for (uint256 i = 0; i < rows.length; ++i) {
            // casting is safe: the proof holds only for indexes below manifest.rows, which is a uint32
            uint32 index = firstIndex + uint32(i);
            if (isPaid(batch, index)) continue;
            ++tried;
            (bool success, bytes memory reason) =
                _callSelf(ROW_GAS, abi.encodeCall(this.payRow, (batch, index, rows[i])));
            if (success) ++succeeded;
            else emit RowFailed(batch, index, reason);
        }
        if (tried == 0) revert NothingToPay();
        if (succeeded > 0) _states[batch].paid += succeeded;
    }

    /// @notice Pays one row of {pay}; callable only by the contract itself, so that a failing row is undone completely.
    /// @param batch Struct hash of the manifest.
    /// @param index Position of the row, which is unpaid and proven.
    /// @param row The row.
    function payRow(bytes32 batch, uint32 index, Row calldata row) external {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        if (row.recipient == address(0) || row.amount == 0) revert InvalidRow(index);
        Remainder storage remainder = _remainders[batch][row.token];
        uint256 amountLeft = remainder.amount;
        uint256 feeLeft = remainder.fee;
        if (row.amount > amountLeft) revert InsufficientDeposit(row.amount, amountLeft);
        uint256 fee = _fee(row.amount, feeLeft);

        _paidBits[batch][index >> 8] |= 1 << (index & 0xff);
        // casting is safe: both only get smaller
        remainder.amount = uint128(amountLeft - row.amount);
        remainder.fee = uint128(feeLeft - fee);
        if (fee > 0) accruedFees[row.token] += fee;
        emit RowPaid(batch, index, row.recipient, row.token, row.amount, fee);

        if (row.token == NATIVE) _sendNative(row.recipient, row.amount);
        else _moveToken(row.token, address(this), row.recipient, row.amount);
    }

    // ------------------------------------------------------------------------------------- taking back

    /// @notice Forbids further payments and returns what is unpaid. Never paused. A token that cannot be returned now
    /// stays, the batch is cancelled all the same, and the call may be repeated.
    /// @param manifest Manifest with the caller as payer; it need not have been funded.
    function cancel(Manifest calldata manifest) external nonReentrant {
        if (msg.sender != manifest.payer) revert NotPayer(msg.sender);
        bytes32 batch = manifest.hash();
        BatchState storage state = _states[batch];
        if (!state.cancelled) {
            state.cancelled = true;
            emit BatchCancelled(batch, manifest.payer);
            _returnAll(manifest, batch);
        } else if (_returnAll(manifest, batch) == 0) {
            revert NothingToMove();
        }
    }

    /// @notice Returns what is left to the payer once every row is paid or the window has closed; anyone may call it.
    /// @param manifest The terms.
    function returnUnspent(Manifest calldata manifest) external nonReentrant {
        bytes32 batch = manifest.hash();
        if (block.timestamp <= manifest.validUntil && _states[batch].paid < manifest.rows) {
            revert BatchStillOpen(manifest.validUntil);
        }
        if (_returnAll(manifest, batch) == 0) revert NothingToMove();
    }

    // --------------------------------------------------------------------------------------------- views

    /// @notice State of the batch with this hash; all zero when it was never seen.
    /// @param batch Struct hash of the manifest.
    function batchState(bytes32 batch) external view returns (BatchState memory) {
        return _states[batch];
    }

    /// @notice What is left of the batch's deposit in one token.
    /// @param batch Struct hash of the manifest.
    /// @param token Token, or the zero address for the native coin.
    function remainderOf(bytes32 batch, address token) external view returns (Remainder memory) {
        return _remainders[batch][token];
    }

    /// @notice Whether the row was paid.
    /// @param batch Struct hash of the manifest.
    /// @param index Position of the row.
    function isPaid(bytes32 batch, uint32 index) public view returns (bool) {
        return _paidBits[batch][index >> 8] & (1 << (index & 0xff)) != 0;
    }

    /// @notice Which of 256 rows were paid: bit `i` is row `256 * word + i`.
    /// @param batch Struct hash of the manifest.
    /// @param word Number of the group of 256 rows.
    function paidBits(bytes32 batch, uint256 word) external view returns (uint256) {
        return _paidBits[batch][word];
    }

    /// @notice EIP-712 struct hash of the manifest, the key of every view and event.
    /// @param manifest The terms.
    function hashManifest(Manifest calldata manifest) external pure returns (bytes32) {
        return manifest.hash();
    }

    /// @notice EIP-712 digest of the manifest for this chain and contract, which the payer signs.
    /// @param manifest The terms.
    function signingDigest(Manifest calldata manifest) external view returns (bytes32) {
        return _hashTypedDataV4(manifest.hash());
    }

    // ------------------------------------------------------------------------------------------ internal

    function _requireOpen(Manifest calldata manifest, BatchState memory state) private view {
        if (!state.funded) revert BatchNotFunded();
        if (state.cancelled) revert BatchIsCancelled();
        if (block.timestamp < manifest.validAfter) revert BatchNotYetValid(manifest.validAfter);
        if (block.timestamp > manifest.validUntil) revert BatchExpired(manifest.validUntil);
        if (tx.gasprice > manifest.maxGasPrice) revert GasPriceAboveLimit(tx.gasprice, manifest.maxGasPrice);
    }

    /// @dev A permit only sets an allowance; whether it covers the total shows when the total is taken.
    function _usePermits(Manifest calldata manifest, TotalPermit[] calldata permits) private {
        for (uint256 i = 0; i < permits.length; ++i) {
            TotalPermit calldata permit = permits[i];
            TokenTotal calldata total = manifest.totals[permit.totalIndex];
            uint256 amount = uint256(total.amount) + total.maxFee;
            try IERC20Permit(total.token).permit(
                manifest.payer, address(this), amount, permit.deadline, permit.v, permit.r, permit.s
            ) {} catch {}
        }
    }

    function _takeTotals(Manifest calldata manifest, bytes32 batch) private {
        uint256 value = 0;
        for (uint256 i = 0; i < manifest.totals.length; ++i) {
            TokenTotal calldata total = manifest.totals[i];
            uint256 amount = uint256(total.amount) + total.maxFee;
            _remainders[batch][total.token] = Remainder(total.amount, total.maxFee);
            if (total.token == NATIVE) value = amount;
            else _moveToken(total.token, manifest.payer, address(this), amount);
        }
        if (msg.value != value) revert WrongValue(value, msg.value);
    }

    /// @dev Returns every remainder that can be returned, each with bounded gas; `returned` counts them.
    function _returnAll(Manifest calldata manifest, bytes32 batch) private returns (uint256 returned) {
        for (uint256 i = 0; i < manifest.totals.length; ++i) {
            address token = manifest.totals[i].token;
            Remainder memory remainder = _remainders[batch][token];
            uint256 amount = uint256(remainder.amount) + remainder.fee;
            if (amount == 0) continue;
            delete _remainders[batch][token];
            if (_trySend(token, manifest.payer, amount, RETURN_GAS)) {
                ++returned;
                emit BatchReturned(batch, manifest.payer, token, amount);
            } else {
                _remainders[batch][token] = remainder;
            }
        }
    }
}
