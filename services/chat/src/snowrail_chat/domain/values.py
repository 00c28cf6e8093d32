"""What the arguments of a command can be."""

from dataclasses import dataclass
from datetime import date, time
from uuid import UUID

from snowrail_chat.domain.conditions import Condition
from snowrail_chat.domain.recurrences import Recurrence
from snowrail_chat.domain.times import Moment

SHORT_ID_DIGITS = 8
"""Hexadecimal digits of an id that are shown to people."""
_ID_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Handle:
    """A user by name, without the `@`."""

    handle: str


@dataclass(frozen=True, slots=True)
class WalletAddress:
    """An account by its EIP-55 address."""

    address: str


@dataclass(frozen=True, slots=True)
class ContactName:
    """A saved contact by the name its owner gave it; compared without regard to case."""

    name: str

    @property
    def key(self) -> str:
        """The name as it is compared."""
        return self.name.casefold()


@dataclass(frozen=True, slots=True)
class Amount:
    """A positive plain decimal as typed; how many atoms it is depends on the token."""

    text: str


@dataclass(frozen=True, slots=True)
class Currency:
    """Symbol of a configured token, in capitals."""

    symbol: str


@dataclass(frozen=True, slots=True)
class IdPrefix:
    """The first 4 to 32 hexadecimal digits of an id, in lower case."""

    digits: str

    @property
    def lowest(self) -> UUID:
        """The first id that begins with these digits."""
        return UUID(self.digits.ljust(_ID_DIGITS, "0"))

    @property
    def highest(self) -> UUID:
        """The last id that begins with these digits."""
        return UUID(self.digits.ljust(_ID_DIGITS, "f"))


@dataclass(frozen=True, slots=True)
class Signature:
    """Bytes of a wallet's signature, as hex with 0x."""

    hex: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows to show."""

    number: int


@dataclass(frozen=True, slots=True)
class Topic:
    """Name of a command, of one or two words."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One word out of a few, in lower case."""

    word: str


@dataclass(frozen=True, slots=True)
class Day:
    """A date of the user's calendar."""

    date: date


@dataclass(frozen=True, slots=True)
class Memo:
    """A note, as typed."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Code of a payment request."""

    code: str


@dataclass(frozen=True, slots=True)
class Zone:
    """IANA name of a time zone."""

    name: str


@dataclass(frozen=True, slots=True)
class Fiat:
    """Three letters of a currency that prices are shown in."""

    code: str


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """Price of one whole token: a positive plain decimal as typed."""

    text: str


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When a user is not to be disturbed, in their time zone; both None for never."""

    starts_at: time | None
    ends_at: time | None


Recipient = Handle | WalletAddress | ContactName


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One payment of a set."""

    to: Recipient
    amount: Amount
    currency: Currency | None = None


@dataclass(frozen=True, slots=True)
class PaymentRows:
    """A set of payments."""

    rows: tuple[PaymentRow, ...]


Value = (
    Recipient
    | Amount
    | Choice
    | Code
    | Condition
    | Count
    | Currency
    | Day
    | Fiat
    | IdPrefix
    | Memo
    | Moment
    | PaymentRows
    | QuietHours
    | Recurrence
    | Signature
    | Topic
    | UnitPrice
    | Zone
)


def short_id(identifier: UUID) -> str:
    """Return the digits of an id that people see and type."""
    return identifier.hex[:SHORT_ID_DIGITS]
