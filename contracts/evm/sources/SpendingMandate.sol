// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Mandate, Mandates} from "./Mandates.sol";
import {PaymentBase} from "./PaymentBase.sol";
import {SpendingMandateNotices} from "./SpendingMandateNotices.sol";

/// @title SpendingMandate
/// @notice Lets a delegate pay in a payer's name without a signature per payment, within limits the payer has signed.
/// Whatever the delegate does, one payment, one period and the mandate as a whole never take more than signed, fees
/// included, and only for recipients the mandate allows. Each payment has an identity and is made at most once. The payer
/// alone revokes, at any time, paused or not, with effect from that very transaction on.
///
/// Tokens come from the payer's wallet by its allowance. Native coin comes from a balance that the payer prepays and
/// takes back at any time. Periods are fixed: the last second of one and the first of the next may each see a full
/// period's limit. Tokens that take a fee on transfer are refused by measuring balances.
contract SpendingMandate is SpendingMandateNotices, PaymentBase {
    using Mandates for Mandate;

    /// @notice What the contract remembers of a mandate; two storage slots.
    /// @param spent Atoms taken so far.
    /// @param spentInPeriod Atoms taken in the period `periodIndex`.
    /// @param unlistedInPeriod The part of them that went to unlisted recipients.
    /// @param periodIndex Period of the last payment.
    /// @param authorised Whether the payer authorised the mandate in person, which stands for a signature.
    /// @param revoked Whether the payer has ended the mandate.
    struct MandateState {
        uint128 spent;
        uint128 spentInPeriod;
        uint128 unlistedInPeriod;
        uint64 periodIndex;
        bool authorised;
        bool revoked;
    }

    /// @notice What the delegate asks for.
    /// @param id Identity of the payment within the mandate.
    /// @param recipient Account to be paid.
    /// @param amount Atoms the recipient receives.
    struct Payment {
        bytes32 id;
        address recipient;
        uint256 amount;
    }

    /// @notice Native coin prepaid and not yet spent, in wei by payer.
    mapping(address payer => uint256 amount) public prepaid;
    /// @notice Whether a payment was made.
    mapping(bytes32 mandate => mapping(bytes32 id => bool made)) public isSpent;

    mapping(bytes32 mandate => MandateState) private _states;

    /// @param admin Account that administers pausers and the fee; it cannot move payers' money.
    constructor(address admin) PaymentBase(admin) {}

    // ------------------------------------------------------------------------------------------- payers

    /// @notice Authorises a mandate in person, so that payments need no signature.
    /// @param mandate Mandate with the caller as payer.
    function authorise(Mandate calldata mandate) external {
        if (msg.sender != mandate.payer) revert NotPayer(msg.sender);
        mandate.validate(address(this));
        bytes32 mandateHash = mandate.hash();
        if (_states[mandateHash].revoked) revert MandateRevoked();
        _states[mandateHash].authorised = true;
        emit Authorised(mandateHash, mandate.payer);
    }

    /// @notice Ends a mandate for ever, whether or not it was ever used. Never paused.
    /// @param mandate Mandate with the caller as payer.
    function revoke(Mandate calldata mandate) external {
        if (msg.sender != mandate.payer) revert NotPayer(msg.sender);
        bytes32 mandateHash = mandate.hash();
        if (_states[mandateHash].revoked) revert MandateRevoked();
        _states[mandateHash].revoked = true;
        emit Revoked(mandateHash, mandate.payer);
    }

    /// @notice Prepays native coin for the mandates of the caller.
    function prepay() external payable nonReentrant {
        if (msg.value == 0) revert NothingToMove();
        uint256 balance = prepaid[msg.sender] + msg.value;
        prepaid[msg.sender] = balance;
        emit Prepaid(msg.sender, msg.value, balance);
    }

    /// @notice Takes prepaid native coin back. Never paused.
    /// @param amount Wei to take; everything when it exceeds the balance.
    function withdraw(uint256 amount) external nonReentrant {
        uint256 balance = prepaid[msg.sender];
        if (amount > balance) amount = balance;
        if (amount == 0) revert NothingToMove();
        prepaid[msg.sender] = balance - amount;
        emit Withdrawn(msg.sender, amount, balance - amount);
        if (!_trySend(NATIVE, msg.sender, amount, gasleft())) revert ReturnFailed(msg.sender);
    }

    // ---------------------------------------------------------------------------------------- delegates

    /// @notice Makes one payment within the limits of a mandate, or reverts.
    /// @param mandate Mandate with the caller as delegate.
    /// @param payment What to pay.
    /// @param proof Proof that the recipient is listed; empty for an unlisted one.
    /// @param signature The payer's signature of the mandate; may be empty when the payer authorised it in person.
    function spend(
        Mandate calldata mandate,
        Payment calldata payment,
        bytes32[] calldata proof,
        bytes calldata signature
    ) external whenNotPaused nonReentrant {
        if (msg.sender != mandate.delegate) revert NotDelegate(msg.sender);
        mandate.validate(address(this));
        bytes32 mandateHash = mandate.hash();
        MandateState memory state = _states[mandateHash];
        _requireOpen(mandate, state);
        if (!state.authorised) _requireSignature(mandate.payer, mandateHash, signature);
        if (isSpent[mandateHash][payment.id]) revert AlreadySpent(payment.id);
        if (
            payment.recipient == address(0) || payment.recipient == address(this)
                || payment.recipient == mandate.payer || payment.amount == 0
        ) revert InvalidPayment();

        if (payment.amount > mandate.perPayment) revert AbovePaymentLimit(mandate.perPayment, payment.amount);
        uint256 fee = _fee(payment.amount, mandate.maxFee);
        _count(mandate, state, payment.recipient, proof, payment.amount + fee);
        _states[mandateHash] = state;
        isSpent[mandateHash][payment.id] = true;
        if (fee > 0) accruedFees[mandate.token] += fee;
        emit Spent(mandateHash, payment.id, payment.recipient, mandate.payer, mandate.token, payment.amount, fee);
        _move(mandate, payment.recipient, payment.amount, fee);
    }

    // --------------------------------------------------------------------------------------------- views

    /// @notice State of the mandate with this hash; all zero when it was never seen.
    /// @param mandateHash Struct hash of the mandate.
    function mandateState(bytes32 mandateHash) external view returns (MandateState memory) {
        return _states[mandateHash];
    }

    /// @notice EIP-712 struct hash of the mandate, the key of every view and event.
    /// @param mandate The terms.
    function hashMandate(Mandate calldata mandate) external pure returns (bytes32) {
        return mandate.hash();
    }

    /// @notice EIP-712 digest of the mandate for this chain and contract, which the payer signs.
    /// @param mandate The terms.
    function signingDigest(Mandate calldata mandate) external view returns (bytes32) {
        return _hashTypedDataV4(mandate.hash());
    }

    // ------------------------------------------------------------------------------------------ internal

    function _requireOpen(Mandate calldata mandate, MandateState memory state) private view {
        if (state.revoked) revert MandateRevoked();
        if (block.timestamp < mandate.validAfter) revert MandateNotYetValid(mandate.validAfter);
        if (block.timestamp > mandate.validUntil) revert MandateExpired(mandate.validUntil);
        if (tx.gasprice > mandate.maxGasPrice) revert GasPriceAboveLimit(tx.gasprice, mandate.maxGasPrice);
    }

    /// @dev Counts a payment, which takes `taken` atoms with its fee, against every limit, in `state`, or reverts.
    function _count(
        Mandate calldata mandate,
        MandateState memory state,
        address recipient,
        bytes32[] calldata proof,
        uint256 taken
    ) private view {
        if (taken > mandate.perPayment) revert AbovePaymentLimit(mandate.perPayment, taken);
        if (taken > mandate.total - state.spent) revert AboveTotalLimit(mandate.total - state.spent, taken);

        // casting is safe: a quotient of differences of uint64
        uint64 periodIndex = uint64((block.timestamp - mandate.validAfter) / mandate.period);
        if (periodIndex != state.periodIndex) {
            state.periodIndex = periodIndex;
            state.spentInPeriod = 0;
            state.unlistedInPeriod = 0;
        }
        uint256 left = mandate.perPeriod - state.spentInPeriod;
        if (taken > left) revert AbovePeriodLimit(left, taken);

        // casting is safe: every limit is a uint128
        state.spent += uint128(taken);
        state.spentInPeriod += uint128(taken);
        if (!_isListed(mandate, recipient, proof)) {
            if (!mandate.anyRecipient) revert RecipientNotAllowed(recipient);
            if (taken > mandate.unlistedPerPayment) revert AbovePaymentLimit(mandate.unlistedPerPayment, taken);
            left = mandate.unlistedPerPeriod - state.unlistedInPeriod;
            if (taken > left) revert AbovePeriodLimit(left, taken);
            state.unlistedInPeriod += uint128(taken);
        }
    }

    function _isListed(Mandate calldata mandate, address recipient, bytes32[] calldata proof)
        private
        pure
        returns (bool)
    {
        if (mandate.recipients == 0) return false;
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(recipient))));
        return MerkleProof.verifyCalldata(proof, mandate.recipients, leaf);
    }

    function _move(Mandate calldata mandate, address recipient, uint256 amount, uint256 fee) private {
        if (mandate.token == NATIVE) {
            uint256 balance = prepaid[mandate.payer];
            if (amount + fee > balance) revert InsufficientDeposit(amount + fee, balance);
            prepaid[mandate.payer] = balance - amount - fee;
            _sendNative(recipient, amount);
        } else {
            _moveToken(mandate.token, mandate.payer, recipient, amount);
            if (fee > 0) _moveToken(mandate.token, mandate.payer, address(this), fee);
        }
    }
}
