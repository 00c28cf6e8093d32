// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title SpendingMandateNotices
/// @notice What spending mandates tell the world: events, from which the backend learns every fact, and errors.
interface SpendingMandateNotices {
    /// @notice The payer authorised a mandate in person, which stands for a signature.
    /// @param mandate Struct hash of the mandate.
    /// @param payer Account whose money it spends.
    event Authorised(bytes32 indexed mandate, address indexed payer);
    /// @notice The payer ended a mandate for ever.
    /// @param mandate Struct hash of the mandate.
    /// @param payer Account that ended it.
    event Revoked(bytes32 indexed mandate, address indexed payer);
    /// @notice The delegate made a payment.
    /// @param mandate Struct hash of the mandate.
    /// @param id Identity of the payment, which is paid at most once.
    /// @param recipient Account that received the amount.
    /// @param payer Account that paid.
    /// @param token Token paid; the zero address is the native coin.
    /// @param amount Atoms the recipient received.
    /// @param fee Atoms taken from the payer on top.
    event Spent(
        bytes32 indexed mandate,
        bytes32 indexed id,
        address indexed recipient,
        address payer,
        address token,
        uint256 amount,
        uint256 fee
    );
    /// @notice Native coin was prepaid for the mandates of `payer`.
    /// @param payer Account the balance belongs to.
    /// @param amount Wei added.
    /// @param balance Wei prepaid now.
    event Prepaid(address indexed payer, uint256 amount, uint256 balance);
    /// @notice The payer took prepaid native coin back.
    /// @param payer Account that took it.
    /// @param amount Wei taken.
    /// @param balance Wei still prepaid.
    event Withdrawn(address indexed payer, uint256 amount, uint256 balance);

    /// @notice Only the delegate of the mandate may do this.
    error NotDelegate(address caller);
    /// @notice The payer has ended the mandate.
    error MandateRevoked();
    /// @notice The window of the mandate has not opened.
    error MandateNotYetValid(uint64 validAfter);
    /// @notice The window of the mandate has closed.
    error MandateExpired(uint64 validUntil);
    /// @notice The payment with this identity was made before.
    error AlreadySpent(bytes32 id);
    /// @notice The payment has no recipient other than payer and contract, or no amount.
    error InvalidPayment();
    /// @notice The mandate does not allow payments to this recipient.
    error RecipientNotAllowed(address recipient);
    /// @notice The payment, with its fee, exceeds what one payment may take.
    error AbovePaymentLimit(uint256 limit, uint256 given);
    /// @notice The payment, with its fee, exceeds what is left of the period's limit.
    error AbovePeriodLimit(uint256 left, uint256 given);
    /// @notice The payment, with its fee, exceeds what is left of the mandate's total.
    error AboveTotalLimit(uint256 left, uint256 given);
}
