"""Titles and messages. An address is shown whole or by head and tail; an amount with its token's symbol."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from snowrail_chain.config import ChainRegistry, UnknownChain, UnknownToken
from snowrail_events import IntentLowBalanceV1, IntentUpdatedV1
from snowrail_kit.money import format_amount
from snowrail_notification.domain.catalogue import Type
from snowrail_notification.domain.intents import News

_FAILURES = {
    "insufficient_allowance": "the escrow is not allowed to take that much any more",
    "insufficient_balance": "the wallet does not hold enough any more",
    "insufficient_deposit": "the deposit does not cover it",
    "no_eligible_rail": "no way to pay it is open now",
    "order_cancelled": "the order was cancelled",
    "order_expired": "the order expired",
}


@dataclass(frozen=True, slots=True)
class Action:
    """A button that sends a command back."""

    label: str
    command: str
    style: str = "secondary"


@dataclass(frozen=True, slots=True)
class Message:
    """What to tell one user."""

    user_id: UUID
    type: Type
    title: str
    message: str
    data: dict[str, Any]
    actions: tuple[Action, ...] = field(default=())


def amount_text(registry: ChainRegistry, token_id: str, atoms: int) -> str:
    """Return an amount with its symbol; atoms with the token's id when the token is not configured."""
    try:
        _, token = registry.token(token_id)
    except (UnknownChain, UnknownToken, ValueError):
        return f"{atoms} atoms of {token_id}"
    return f"{format_amount(atoms, token.decimals)} {token.symbol}"


def short_address(address: str) -> str:
    """Return head and tail of an address, for sentences; data always carries all 42 characters."""
    return f"{address[:6]}…{address[-4:]}"


def party(address: str, handle: str | None) -> str:
    """Return how a person is named in a sentence."""
    return f"@{handle}" if handle else short_address(address)


def failure_text(code: str) -> str:
    """Return why a payment failed, in words."""
    return _FAILURES.get(code, code.replace("_", " "))


def is_native(token_id: str) -> bool:
    """Return whether a token is its chain's own coin."""
    return int(token_id.partition(":")[2], 16) == 0


def intent_message(registry: ChainRegistry, event: IntentUpdatedV1, item: News) -> Message:
    """Return what the payer of an intent is told."""
    amount = amount_text(registry, event.token, event.amount)
    reason = (event.reason or "it waits").replace("_", " ")
    match item:
        case News.READY if is_native(event.token):
            told = (
                Type.DEPOSIT_CONFIRMED,
                "Deposit confirmed",
                f"{amount} is in the escrow and ready to pay.",
            )
        case News.READY:
            told = (Type.INTENT_FUNDED, "Payment authorised", f"{amount} is ready to pay.")
        case News.DELAYED:
            told = (Type.INTENT_DELAYED, "Payment delayed", f"Your payment of {amount} waits: {reason}.")
        case News.FUNDS_MISSING:
            told = (
                Type.LOW_BALANCE,
                "Balance too low",
                f"Your wallet does not hold {amount}; the payment waits.",
            )
        case News.RETURNABLE:
            told = (
                Type.WITHDRAWAL_READY,
                "Deposit to take back",
                f"The deposit of {amount} is yours to take back.",
            )
        case News.RETURNED:
            refund = amount_text(registry, event.token, event.refunded or 0)
            told = (Type.WITHDRAWAL_READY, "Deposit returned", f"{refund} went back to your wallet.")
    actions = [status_command(event.intent_id)]
    if item is News.RETURNABLE:
        actions.insert(0, Action("Withdraw", f"/withdraw {event.intent_id}", "primary"))
    data = {"intent_id": str(event.intent_id), "status": event.status, "reason": event.reason}
    return Message(event.user_id, *told, data, tuple(actions))


_SHORT_OF = {
    "approval_missing": "the escrow may take {available} of it",
    "deposit_missing": "the deposit holds {available}",
}


def low_balance_message(registry: ChainRegistry, event: IntentLowBalanceV1) -> Message:
    """Return what the payer is told before a payment that is not covered falls due."""
    needed = amount_text(registry, event.token, event.needed)
    available = amount_text(registry, event.token, event.available)
    there = _SHORT_OF.get(event.reason, "your wallet holds {available}").format(available=available)
    to = event.recipient_label or short_address(event.recipient)
    text = f"The payment to {to} on {event.due_at:%Y-%m-%d %H:%M} UTC needs {needed}; {there}."
    data = {
        "intent_id": str(event.intent_id),
        "reason": event.reason,
        "due_at": event.due_at.isoformat(),
        "needed": str(event.needed),
        "available": str(event.available),
    }
    actions = (status_command(event.intent_id),)
    return Message(event.user_id, Type.LOW_BALANCE, "Payment not covered yet", text, data, actions)


def status_command(intent_id: UUID) -> Action:
    """Return the button that shows an intent."""
    return Action("Show", f"/status {intent_id}", "primary")
