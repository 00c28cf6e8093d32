// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IntentEscrowNotices} from "./IntentEscrowNotices.sol";
import {Order, Orders} from "./Orders.sol";
import {PaymentBase} from "./PaymentBase.sol";

/// @title IntentEscrow
/// @notice Executes what a payer has signed or funded, under exactly those terms, and nothing else.
/// An executor decides only when to try; recipient, token, amount, window, gas price, remaining balance and count
/// come from the payer's order. Each (order, occurrence) executes at most once, for ever. The payer alone can cancel,
/// at any time, paused or not, and takes back what is unspent. No role can move a payer's money elsewhere.
///
/// Tokens that take a fee on transfer are refused by measuring balances. Deposits of one token are pooled, so a token
/// that rebases downwards must not be offered to payers.
contract IntentEscrow is IntentEscrowNotices, PaymentBase {
    using Orders for Order;

    /// @notice What the escrow remembers of an order; one storage slot.
    /// @param executed Number of executions so far, which is the next occurrence.
    /// @param cancelled Whether the payer has forbidden further executions.
    /// @param authorised Whether the payer funded the order in person, which stands for a signature on the deposit.
    /// @param deposited Unspent atoms of the order's token held for the payer.
    struct OrderState {
        uint32 executed;
        bool cancelled;
        bool authorised;
        uint208 deposited;
    }

    /// @notice One item of {executeMany}.
    /// @param order The signed or funded order.
    /// @param occurrence Number of executions before this one.
    /// @param signature The payer's signature; may be empty when the payer's own deposit covers the execution.
    struct Execution {
        Order order;
        uint32 occurrence;
        bytes signature;
    }

    /// @notice An EIP-2612 permit of the payer for this escrow.
    /// @param amount Atoms allowed and deposited.
    /// @param deadline Last second (Unix time) of the permit.
    /// @param v Recovery part of the signature.
    /// @param r First part of the signature.
    /// @param s Second part of the signature.
    struct Permit {
        uint256 amount;
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice Gas each item of {executeMany} may use.
    uint256 public constant ITEM_GAS = 400_000;
    /// @notice Most items of one {executeMany}.
    uint256 public constant MAX_ITEMS = 256;
    mapping(bytes32 orderHash => OrderState) private _states;

    /// @param admin Account that administers executors, pausers and the fee; it cannot move payers' money.
    constructor(address admin) PaymentBase(admin) {}

    // ------------------------------------------------------------------------------------------ funding

    /// @notice Deposits native coin for an order. Being sent by the payer, it authorises the order.
    /// @param order Order with the native token and the caller as payer.
    function fund(Order calldata order) external payable nonReentrant {
        if (msg.sender != order.payer) revert NotPayer(msg.sender);
        if (order.token != NATIVE) revert WrongToken(order.token);
        _credit(order, msg.value, true);
    }

    /// @notice Deposits tokens the payer has allowed. Being sent by the payer, it authorises spending the deposit.
    /// @param order Order with an ERC-20 token and the caller as payer.
    /// @param amount Atoms to move from the payer.
    function deposit(Order calldata order, uint256 amount) external nonReentrant {
        if (msg.sender != order.payer) revert NotPayer(msg.sender);
        _depositToken(order, amount, true);
    }

    /// @notice Deposits tokens by an EIP-2612 permit, either sent by the payer or by anyone with the signed order.
    /// A permit that somebody else has already spent makes this revert; the allowance it set then serves {execute}
    /// and {deposit}.
    /// @param order Order with an ERC-20 token that supports permits.
    /// @param permit The payer's permit for this escrow.
    /// @param signature The payer's signature of the order; empty when the payer is the caller.
    function fundWithPermit(Order calldata order, Permit calldata permit, bytes calldata signature)
        external
        nonReentrant
    {
        bool byPayer = msg.sender == order.payer;
        if (!byPayer) _requireSignature(order.payer, order.hash(), signature);
        if (order.token == NATIVE) revert WrongToken(order.token);
        uint256 nonce = IERC20Permit(order.token).nonces(order.payer);
        IERC20Permit(order.token).permit(
            order.payer, address(this), permit.amount, permit.deadline, permit.v, permit.r, permit.s
        );
        // a token whose fallback swallows the call would turn a standing allowance into the payer's consent
        if (IERC20Permit(order.token).nonces(order.payer) != nonce + 1) revert PermitIgnored(order.token);
        _depositToken(order, permit.amount, byPayer);
    }

    // ---------------------------------------------------------------------------------------- execution

    /// @notice Executes the next occurrence of an order, or reverts.
    /// @param order The signed or funded order.
    /// @param occurrence Number of executions before this one, so that a repeated call always fails.
    /// @param signature The payer's signature; may be empty when the payer's own deposit covers the execution.
    function execute(Order calldata order, uint32 occurrence, bytes calldata signature)
        external
        onlyRole(EXECUTOR_ROLE)
        whenNotPaused
        nonReentrant
    {
        _execute(order, occurrence, signature);
    }

    /// @notice Executes items in order, each succeeding with {Executed} or failing alone with {ExecutionFailed}.
    /// Reverts as a whole when the gas left could starve an item: an item never fails for the caller's want of gas.
    /// @param items At most {MAX_ITEMS} executions.
    function executeMany(Execution[] calldata items) external onlyRole(EXECUTOR_ROLE) whenNotPaused nonReentrant {
        if (items.length > MAX_ITEMS) revert TooManyItems(MAX_ITEMS, items.length);
        for (uint256 i = 0; i < items.length; ++i) {
            Execution calldata item = items[i];
            (bool success, bytes memory reason) = _callSelf(ITEM_GAS, abi.encodeCall(this.executeItem, (item)));
            if (!success) emit ExecutionFailed(item.order.hash(), item.occurrence, reason);
        }
    }

    /// @notice Executes one item of {executeMany}; callable only by the escrow itself, so that a failing item is
    /// undone completely.
    /// @param item The execution.
    function executeItem(Execution calldata item) external {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        _execute(item.order, item.occurrence, item.signature);
    }

    // ------------------------------------------------------------------------------------- taking back

    /// @notice Forbids further executions and returns the unspent deposit. Never paused. When the payer cannot
    /// receive the deposit now, the order is cancelled all the same, the deposit stays, and the call may be repeated.
    /// @param order Order with the caller as payer.
    function cancel(Order calldata order) external nonReentrant {
        if (msg.sender != order.payer) revert NotPayer(msg.sender);
        bytes32 orderHash = order.hash();
        OrderState storage state = _states[orderHash];
        uint208 amount = state.deposited;
        if (state.cancelled && amount == 0) revert OrderCancelled();
        state.cancelled = true;
        uint256 refunded = 0;
        if (amount > 0) {
            state.deposited = 0;
            if (_trySend(order.token, order.payer, amount, gasleft())) refunded = amount;
            else state.deposited = amount;
        }
        emit Cancelled(orderHash, order.payer, refunded);
    }

    /// @notice Returns the deposit of an order whose window has closed to its payer; anyone may call it.
    /// @param order The expired order.
    function returnExpired(Order calldata order) external nonReentrant {
        if (block.timestamp <= order.validUntil) revert OrderNotExpired(order.validUntil);
        bytes32 orderHash = order.hash();
        OrderState storage state = _states[orderHash];
        uint256 amount = state.deposited;
        if (amount == 0) revert NothingToMove();
        state.deposited = 0;
        emit Returned(orderHash, order.payer, amount);
        if (!_trySend(order.token, order.payer, amount, gasleft())) revert ReturnFailed(order.payer);
    }

    // --------------------------------------------------------------------------------------------- views

    /// @notice State of the order with this hash; all zero when it was never seen.
    /// @param orderHash Struct hash of the order.
    function orderState(bytes32 orderHash) external view returns (OrderState memory) {
        return _states[orderHash];
    }

    /// @notice EIP-712 struct hash of the order, the key of {orderState} and of every event.
    /// @param order The terms.
    function hashOrder(Order calldata order) external pure returns (bytes32) {
        return order.hash();
    }

    /// @notice EIP-712 digest of the order for this chain and contract, which the payer signs.
    /// @param order The terms.
    function signingDigest(Order calldata order) external view returns (bytes32) {
        return _hashTypedDataV4(order.hash());
    }

    // ------------------------------------------------------------------------------------------ internal

    function _execute(Order calldata order, uint32 occurrence, bytes calldata signature) private {
        order.validate(address(this));
        bytes32 orderHash = order.hash();
        OrderState memory state = _states[orderHash];
        _requireDue(order, state, occurrence);

        uint256 fee = _fee(order.amount, order.maxFee);
        uint256 total = order.amount + fee;
        bool fromDeposit = order.token == NATIVE || state.deposited >= total;
        if (fromDeposit) {
            if (state.deposited < total) revert InsufficientDeposit(total, state.deposited);
            if (!state.authorised) _requireSignature(order.payer, orderHash, signature);
            // casting is safe: total <= deposited, which is a uint208
            state.deposited -= uint208(total);
        } else {
            _requireSignature(order.payer, orderHash, signature);
        }
        state.executed = occurrence + 1;
        _states[orderHash] = state;
        if (fee > 0) accruedFees[order.token] += fee;
        emit Executed(orderHash, occurrence, order.recipient, order.payer, order.token, order.amount, fee);

        if (order.token == NATIVE) _sendNative(order.recipient, order.amount);
        else if (fromDeposit) _moveToken(order.token, address(this), order.recipient, order.amount);
        else _pullToken(order, fee);
        _requireBuffer(order);
    }

    function _requireDue(Order calldata order, OrderState memory state, uint32 occurrence) private view {
        if (state.cancelled) revert OrderCancelled();
        if (occurrence != state.executed) revert OccurrenceMismatch(state.executed, occurrence);
        if (block.timestamp < order.validAfter) revert OrderNotYetValid(order.validAfter);
        if (block.timestamp > order.validUntil) revert OrderExpired(order.validUntil);
        if (tx.gasprice > order.maxGasPrice) revert GasPriceAboveLimit(tx.gasprice, order.maxGasPrice);
        uint256 allowed = order.allowedExecutions(block.timestamp);
        if (occurrence >= allowed) revert NotDue(occurrence, allowed);
    }

    function _requireBuffer(Order calldata order) private view {
        if (order.safetyBuffer == 0) return;
        uint256 remaining =
            order.token == NATIVE ? order.payer.balance : IERC20(order.token).balanceOf(order.payer);
        if (remaining < order.safetyBuffer) revert SafetyBufferBroken(order.safetyBuffer, remaining);
    }

    /// @dev Adds a deposit to an order that can still spend it; the money has arrived already, or arrives right after.
    function _credit(Order calldata order, uint256 amount, bool byPayer) private {
        order.validate(address(this));
        if (amount == 0) revert NothingToMove();
        if (block.timestamp > order.validUntil) revert OrderExpired(order.validUntil);
        bytes32 orderHash = order.hash();
        OrderState memory state = _states[orderHash];
        if (state.cancelled) revert OrderCancelled();
        uint256 limit = (order.amount + order.maxFee) * (order.maxExecutions - state.executed);
        // fees that were not taken may have left more than the rest can spend, so nothing is subtracted from the limit
        if (amount > limit || state.deposited > limit - amount) {
            revert DepositAboveOrder(limit, state.deposited, amount);
        }
        // casting is safe: the limit is below (2^128 + 2^128) * 2^32
        state.deposited += uint208(amount);
        if (byPayer) state.authorised = true;
        _states[orderHash] = state;
        emit Funded(orderHash, order.payer, order.token, amount, state.deposited);
    }

    function _depositToken(Order calldata order, uint256 amount, bool byPayer) private {
        if (order.token == NATIVE) revert WrongToken(order.token);
        _credit(order, amount, byPayer);
        _moveToken(order.token, order.payer, address(this), amount);
    }

    /// @dev Pays the recipient, and the fee to the escrow, from the payer's wallet.
    function _pullToken(Order calldata order, uint256 fee) private {
        _moveToken(order.token, order.payer, order.recipient, order.amount);
        if (fee > 0) _moveToken(order.token, order.payer, address(this), fee);
    }
}
