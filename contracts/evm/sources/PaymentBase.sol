// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {PaymentNotices} from "./PaymentNotices.sol";

/// @title PaymentBase
/// @notice What every contract that pays on a payer's terms has in common: roles, the pause, platform fees, the check
/// of a payer's signature, and moving money so that neither recipient nor token can harm anyone but themselves.
///
/// Fees are off: the fee is a share of the amount that starts at zero. When the administrator switches it on, a
/// payment costs the payer at most the signed maximum, and only when the recipient was paid.
abstract contract PaymentBase is PaymentNotices, AccessControl, Pausable, ReentrancyGuardTransient, EIP712 {
    using SafeERC20 for IERC20;

    /// @notice Role that may ask for executions.
    bytes32 public constant EXECUTOR_ROLE = keccak256("EXECUTOR_ROLE");
    /// @notice Role that may pause and resume new executions.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");
    /// @notice Token address that stands for the native coin.
    address public constant NATIVE = address(0);
    /// @notice Gas a recipient of the native coin may use.
    uint256 public constant RECIPIENT_GAS = 50_000;
    /// @notice Highest fee share that can ever be set, in hundredths of a percent of the amount.
    uint256 public constant MAX_FEE_BASIS_POINTS = 100;

    /// @dev Most bytes of a failed item's revert data that are kept for its event.
    uint256 private constant MAX_REASON_BYTES = 256;
    /// @dev Upper bound of what a value transfer costs before its stipend of gas: cold account, value, new account.
    uint256 private constant CALL_OVERHEAD_GAS = 40_000;

    /// @notice Receiver of fees once they are switched on.
    address public feeRecipient;
    /// @notice Fee share in hundredths of a percent of the amount; zero until switched on.
    uint256 public feeBasisPoints;
    /// @notice Fees taken and not yet withdrawn, in atoms by token.
    mapping(address token => uint256 amount) public accruedFees;

    /// @param admin Account that administers executors, pausers and the fee; it cannot move payers' money.
    constructor(address admin) EIP712("Snowrail", "1") {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(PAUSER_ROLE, admin);
    }

    // ------------------------------------------------------------------------------------ administration

    /// @notice Stops new executions; every way in which payers take their money back stays open.
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @notice Allows executions again.
    function unpause() external onlyRole(PAUSER_ROLE) {
        _unpause();
    }

    /// @notice Sets the fee share; what each payer signed remains that payer's limit.
    /// @param recipient Receiver of fees; may be zero only for a zero share.
    /// @param basisPoints Hundredths of a percent of the amount, at most {MAX_FEE_BASIS_POINTS}.
    function setFee(address recipient, uint256 basisPoints) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (basisPoints > MAX_FEE_BASIS_POINTS || (basisPoints > 0 && recipient == address(0))) {
            revert InvalidFee(recipient, basisPoints);
        }
        feeRecipient = recipient;
        feeBasisPoints = basisPoints;
        emit FeeSet(recipient, basisPoints);
    }

    /// @notice Pays the accrued fees of a token to the fee recipient; anyone may call it.
    /// @param token Token, or the zero address for the native coin.
    function withdrawFees(address token) external nonReentrant {
        address recipient = feeRecipient;
        if (recipient == address(0)) revert InvalidFee(recipient, feeBasisPoints);
        uint256 amount = accruedFees[token];
        if (amount == 0) revert NothingToMove();
        accruedFees[token] = 0;
        emit FeesWithdrawn(token, recipient, amount);
        if (!_trySend(token, recipient, amount, gasleft())) revert ReturnFailed(recipient);
    }

    // ------------------------------------------------------------------------------------------ internal

    /// @dev Fee on a payment of `amount` of which the payer allows at most `limit`.
    function _fee(uint256 amount, uint256 limit) internal view returns (uint256 fee) {
        uint256 basisPoints = feeBasisPoints;
        if (basisPoints == 0) return 0;
        fee = (amount * basisPoints) / 10_000;
        if (fee > limit) fee = limit;
    }

    /// @dev Reverts unless `signature` is the payer's over the EIP-712 struct hash; contract accounts by ERC-1271.
    function _requireSignature(address payer, bytes32 structHash, bytes calldata signature) internal view {
        if (!SignatureChecker.isValidSignatureNowCalldata(payer, _hashTypedDataV4(structHash), signature)) {
            revert InvalidSignature();
        }
    }

    /// @dev Moves tokens and reverts unless the receiver's balance grew by exactly `amount`.
    function _moveToken(address token, address from, address to, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(to);
        if (from == address(this)) IERC20(token).safeTransfer(to, amount);
        else IERC20(token).safeTransferFrom(from, to, amount);
        uint256 measured = IERC20(token).balanceOf(to) - before;
        if (measured != amount) revert UnexpectedBalanceChange(amount, measured);
    }

    /// @dev Pays native coin with a bounded amount of gas and without copying what the recipient returns.
    function _sendNative(address recipient, uint256 amount) internal {
        // EIP-150 passes on at most 63/64 of the gas; below that the recipient would be starved, not failing.
        uint256 available = gasleft();
        if (available - available / 64 < RECIPIENT_GAS + CALL_OVERHEAD_GAS) revert InsufficientGas();
        bool success;
        assembly ("memory-safe") {
            success := call(RECIPIENT_GAS, recipient, amount, 0, 0, 0, 0)
        }
        if (!success) revert NativeTransferFailed(recipient);
    }

    /// @dev Sends money out with at most `gasLimit` gas, without reverting and without copying what comes back. A
    /// token has succeeded when it answers true, or nothing while it has code.
    function _trySend(address token, address to, uint256 amount, uint256 gasLimit) internal returns (bool success) {
        if (token == NATIVE) {
            assembly ("memory-safe") {
                success := call(gasLimit, to, amount, 0, 0, 0, 0)
            }
            return success;
        }
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        assembly ("memory-safe") {
            success := call(gasLimit, token, 0, add(data, 0x20), mload(data), 0, 0x20)
            if success {
                switch returndatasize()
                case 0 { success := gt(extcodesize(token), 0) }
                default { success := and(gt(returndatasize(), 0x1f), eq(mload(0), 1)) }
            }
        }
    }

    /// @dev Calls this contract with exactly `gasLimit` and keeps a bounded part of the revert data.
    function _callSelf(uint256 gasLimit, bytes memory data) internal returns (bool success, bytes memory reason) {
        uint256 available = gasleft();
        if (available - available / 64 < gasLimit + CALL_OVERHEAD_GAS) revert InsufficientGas();
        assembly ("memory-safe") {
            success := call(gasLimit, address(), 0, add(data, 0x20), mload(data), 0, 0)
            reason := mload(0x40)
            let length := returndatasize()
            if gt(length, MAX_REASON_BYTES) { length := MAX_REASON_BYTES }
            mstore(reason, length)
            returndatacopy(add(reason, 0x20), 0, length)
            mstore(0x40, and(add(add(reason, length), 0x3f), not(0x1f)))
        }
    }
}
