"""Values that several events carry."""

from datetime import datetime
from typing import Annotated, Literal

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


class IntentCondition(Part):
    """What must hold before a payment is made. It is met by a value strictly below or above `value`."""

    kind: Literal["price", "gas"]
    token: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")] | None = None
    """Symbol of the token whose price is meant, as `price.updated` names it; none for gas."""
    comparison: Literal["below", "above"]
    value: Annotated[str, Field(pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?$")]
    """US dollars for one whole token, or wei of one unit of gas."""


class IntentRecurrence(Part):
    """When a payment repeats: on days and at a time of day of one time zone, or as a cron expression says."""

    kind: Literal["daily", "weekly", "monthly", "cron"]
    interval: int = Field(default=1, ge=1, le=366)
    """Every how many days, weeks or months; 1 for cron."""
    weekday: int | None = Field(default=None, ge=0, le=6)
    """Weekly: Monday is 0; that of `start_at` when left out."""
    day: int | None = Field(default=None, ge=1, le=31)
    """Monthly: day of the month, the last one of shorter months; that of `start_at` when left out."""
    cron: Annotated[str, Field(max_length=100)] | None = None
    """Five fields: minute, hour, day of month, month, day of week."""
    time_zone: Annotated[str, Field(max_length=64)]
    """IANA name. The time of day is that of `start_at` there, except for cron."""
    start_at: datetime
    """No occurrence is earlier."""
    end_at: datetime | None = None
    """No occurrence is later."""
    count: int | None = Field(default=None, ge=1, lt=2**32)
    """Number of occurrences; those that are missed count."""
    missed: Literal["skip", "run_once", "run_all"] = "skip"
    """What becomes of occurrences that could not be paid in time: left out, made up for by one payment, or
    each paid later, as far as the order still allows."""
