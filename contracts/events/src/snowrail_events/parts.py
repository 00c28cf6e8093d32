"""Values that several events carry."""

from typing import Annotated

from pydantic import Field

from snowrail_events.fields import Address, Atoms, Code, Hash32, HexBytes, Part


class UnsignedTransaction(Part):
    """A transaction for the user's own wallet to review, sign and send."""

    chain_id: int
    to: Address
    data: HexBytes
    value: Atoms
    purpose: Code


class EscrowLog(Part):
    """One decoded event of the escrow contract. Fields that an event does not have are None."""

    log_index: int = Field(ge=0)
    name: Code
    """`funded`, `executed`, `execution_failed`, `cancelled` or `returned`."""
    order_hash: Hash32
    payer: Address | None = None
    recipient: Address | None = None
    token: Address | None = None
    amount: Atoms | None = None
    fee: Atoms | None = None
    occurrence: int | None = None
    reason: HexBytes | None = None


class NotificationPreference(Part):
    """Whether a type of notification is told on a channel."""

    type: Code
    channel: Code
    enabled: bool


class NotificationChannel(Part):
    """A way to reach a user."""

    channel: Code
    """`in_app`, `email`, `telegram` or `web_push`."""
    configured: bool
    """Whether the platform can send on it at all."""
    connected: bool
    """Whether this user has an address, account or browser there that was confirmed."""
    label: Annotated[str, Field(max_length=200)] = ""
    """What is connected, shortened: for people to recognise."""
