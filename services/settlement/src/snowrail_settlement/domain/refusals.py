"""What a refusal of the escrow or of a token means for a payment: a stable code, and whether to try again.

The names are those of the custom errors in `contracts/evm` and of ERC-6093. Nothing that depends on the payer
(balance, allowance, deposit, signature) is tried again automatically.
"""

from dataclasses import dataclass
from enum import StrEnum

from snowrail_chain.abi import RevertReason, explain_revert

MAX_DETAIL_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a payment was not made.

    Attributes:
        code: Stable code.
        detail: For a person.
        retryable: Whether another attempt may succeed without anybody doing anything.
        means_executed: Whether the chain says that the occurrence was already executed: no failure at all.
    """

    code: str
    detail: str
    retryable: bool
    means_executed: bool = False


class Patience(StrEnum):
    """What to do when a simulated execution is refused before anything is signed.

    REFUSE: the item fails. WAIT: the item waits for a bounded time. HOLD: the whole lane waits, because no
    item could succeed.
    """

    REFUSE = "refuse"
    WAIT = "wait"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class _Rule:
    code: str
    retryable: bool = False
    patience: Patience = Patience.REFUSE


_OCCURRENCE = "OccurrenceMismatch"
_MESSAGE = "Error"
_RULES: dict[str, _Rule] = {
    # the order
    "OrderCancelled": _Rule("order_cancelled"),
    "OrderExpired": _Rule("order_expired"),
    "OrderNotYetValid": _Rule("order_not_yet_valid", True, Patience.WAIT),
    "NotDue": _Rule("not_due", True, Patience.WAIT),
    "GasPriceAboveLimit": _Rule("gas_price_above_limit", True, Patience.WAIT),
    "InvalidSignature": _Rule("invalid_signature"),
    "InvalidOrder": _Rule("invalid_order"),
    "WrongToken": _Rule("invalid_order"),
    # the payer's money
    "InsufficientDeposit": _Rule("insufficient_deposit"),
    "SafetyBufferBroken": _Rule("safety_buffer_broken"),
    "ERC20InsufficientBalance": _Rule("insufficient_balance"),
    "ERC20InsufficientAllowance": _Rule("insufficient_allowance"),
    # token and recipient
    "SafeERC20FailedOperation": _Rule("token_refused"),
    "UnexpectedBalanceChange": _Rule("token_not_supported"),
    "ERC20InvalidReceiver": _Rule("recipient_refused"),
    "NativeTransferFailed": _Rule("recipient_refused"),
    "ReentrancyGuardReentrantCall": _Rule("recipient_refused"),
    # us
    "InsufficientGas": _Rule("insufficient_gas", True),
    "EnforcedPause": _Rule("escrow_paused", True, Patience.HOLD),
    "AccessControlUnauthorizedAccount": _Rule("executor_not_authorised", True, Patience.HOLD),
}
_OTHER = _Rule("execution_reverted")
_BALANCE_WORDS = ("exceeds balance", "insufficient balance", "insufficient-balance")
_ALLOWANCE_WORDS = ("exceeds allowance", "insufficient allowance", "insufficient-allowance")


def explain_refusal(revert_data: bytes) -> Refusal:
    """Return what the revert data of one item means; never raises."""
    reason = explain_revert(revert_data)
    if reason.name == _OCCURRENCE:
        return _explain_occurrence(reason)
    rule = _rule(reason)
    return Refusal(rule.code, _detail(reason), rule.retryable)


def patience_with(revert_data: bytes) -> Patience:
    """Return what to do about the refusal of a simulated execution."""
    reason = explain_revert(revert_data)
    return Patience.WAIT if reason.name == _OCCURRENCE else _rule(reason).patience


def _rule(reason: RevertReason) -> _Rule:
    if reason.name == _MESSAGE:
        words = str(reason.arguments.get("message", "")).lower()
        if any(part in words for part in _BALANCE_WORDS):
            return _RULES["ERC20InsufficientBalance"]
        if any(part in words for part in _ALLOWANCE_WORDS):
            return _RULES["ERC20InsufficientAllowance"]
    return _RULES.get(reason.name, _OTHER)


def _explain_occurrence(reason: RevertReason) -> Refusal:
    following, given = reason.arguments.get("next"), reason.arguments.get("given")
    if isinstance(following, int) and isinstance(given, int) and following < given:
        return Refusal("occurrence_ahead", _detail(reason), True)
    # without readable arguments it may have been executed: that is no proof of failure
    return Refusal("executed_elsewhere", _detail(reason), False, means_executed=True)


def _detail(reason: RevertReason) -> str:
    return str(reason)[:MAX_DETAIL_CHARACTERS]
