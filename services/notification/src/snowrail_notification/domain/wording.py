"""Titles and messages. An address is shown whole or by head and tail; an amount with its token's symbol."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from snowrail_chain.config import ChainRegistry, UnknownChain, UnknownToken
from snowrail_kit.money import format_amount
from snowrail_notification.domain.catalogue import Type

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


def status_command(intent_id: UUID) -> Action:
    """Return the button that shows an intent."""
    return Action("Show", f"/status {intent_id}", "primary")
