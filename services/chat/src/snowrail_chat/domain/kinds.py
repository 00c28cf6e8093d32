"""Kinds of arguments: how each is recognised, read, and written back."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from snowrail_chain.addresses import AddressError, MissingChecksum, NotAnAddress, parse_address
from snowrail_chat.domain import amounts, subjects
from snowrail_chat.domain.conditions import read_condition
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.nearness import nearest
from snowrail_chat.domain.recurrences import read_recurrence
from snowrail_chat.domain.times import read_date, read_moment
from snowrail_chat.domain.values import (
    Amount,
    ContactName,
    Count,
    Currency,
    Day,
    Handle,
    IdPrefix,
    QuietHours,
    Recipient,
    Signature,
    Topic,
    Value,
    WalletAddress,
)

MAX_HISTORY_ROWS = 50
MAX_NAME_CHARACTERS = 40
_HANDLE = re.compile(r"@([A-Za-z0-9_]{3,32})")
_ID = re.compile(r"#?([0-9A-Fa-f]{4,32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})")
_SIGNATURE = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_HEX_DIGITS = re.compile(r"[0-9a-fA-F]*")
_COUNT = re.compile(r"[1-9][0-9]{0,3}")
_SYMBOL_LIKE = re.compile(r"[A-Z][A-Z0-9]{1,5}")
_ADDRESS_DIGITS = 40
_SIGNATURE_DIGITS = 130


class Kind(StrEnum):
    """What an argument is; autocomplete offers values by it."""

    RECIPIENT = "recipient"
    PAYEE = "payee"
    CONTACT = "contact"
    AMOUNT = "amount"
    CURRENCY = "currency"
    INTENT = "intent"
    SIGNATURE = "signature"
    COUNT = "count"
    TOPIC = "topic"
    CHOICE = "choice"
    MOMENT = "moment"
    CONDITION = "condition"
    RECURRENCE = "recurrence"
    DATE = "date"
    TIMES = "times"
    TEMPLATE = "template"
    PAYMENTS = "payments"
    MEMO = "memo"
    CODE = "code"
    ZONE = "zone"
    FIAT = "fiat"
    PRICE = "price"
    QUIET_HOURS = "quiet_hours"
    ALERT = "alert"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words whose meaning is configuration: symbols of the tokens, the default one first."""

    currencies: tuple[str, ...]

    @property
    def default_currency(self) -> str:
        """Symbol of the token that is meant where none is named."""
        return self.currencies[0]


@dataclass(frozen=True, slots=True)
class Reading:
    """How words of one kind are treated.

    Attributes:
        description: what to type, for help and errors.
        fits: whether a word has the shape of this kind; decides whether an optional argument was left out.
        read: the value a word stands for; raises WordProblem.
        show: the word that stands for a value.
    """

    description: str
    fits: Callable[[str, Vocabulary], bool]
    read: Callable[[str, Vocabulary], Value]
    show: Callable[[Any], str]


def read_handle(text: str) -> Handle:
    """Return the user a word such as `@alice` names. Raises WordProblem."""
    match = _HANDLE.fullmatch(text)
    if match is None:
        raise WordProblem(
            "handle_malformed", f"'{text}' is no user name: @ and 3 to 32 letters, digits or underscores."
        )
    return Handle(match[1].lower())


def read_address(text: str) -> WalletAddress:
    """Return the account a word names by its EIP-55 address. Raises WordProblem."""
    try:
        return WalletAddress(parse_address(text))
    except MissingChecksum as error:
        raise WordProblem(
            error.code,
            f"This address carries no checksum, so a wrong character could not be seen. "
            f"Compare every character with {error.checksummed} and send that form.",
            error.checksummed,
        ) from error
    except NotAnAddress as error:
        raise WordProblem(error.code, _describe_digits(text)) from error
    except AddressError as error:
        raise WordProblem(
            error.code,
            "This address does not match its checksum: at least one character is wrong. Copy it again.",
        ) from error


def read_contact_name(text: str) -> ContactName:
    """Return the contact a word names. Raises WordProblem."""
    if not text.strip() or text != text.strip() or len(text) > MAX_NAME_CHARACTERS or not text.isprintable():
        raise WordProblem(
            "name_malformed",
            f"A name has 1 to {MAX_NAME_CHARACTERS} characters and no outer spaces.",
        )
    if text.startswith("@") or text.lower().startswith("0x"):
        raise WordProblem("name_malformed", "A name starts neither with @ nor with 0x.")
    return ContactName(text)


def _describe_digits(text: str) -> str:
    digits = text[2:]
    if not _HEX_DIGITS.fullmatch(digits):
        return "An address is 0x followed by the digits 0 to 9 and a to f only. Copy it whole."
    return f"This address has {len(digits)} digits after 0x; an address has {_ADDRESS_DIGITS}. Copy it whole."


def _read_payee(text: str, _: Vocabulary) -> Value:
    if text.startswith("@"):
        return read_handle(text)
    if text.lower().startswith("0x"):
        return read_address(text)
    raise WordProblem(
        "payee_expected", f"'{text}' is neither @name nor a 0x address.", _as_handle(text) if text else None
    )


def _read_recipient(text: str, vocabulary: Vocabulary) -> Value:
    if text.startswith("@") or text.lower().startswith("0x"):
        return _read_payee(text, vocabulary)
    return read_contact_name(text)


def _as_handle(text: str) -> str | None:
    return f"@{text.lower()}" if _HANDLE.fullmatch(f"@{text}") else None


def _show_recipient(value: Recipient) -> str:
    match value:
        case Handle(handle):
            return f"@{handle}"
        case WalletAddress(address):
            return address
        case ContactName(name):
            return name


def _read_currency(text: str, vocabulary: Vocabulary) -> Value:
    if text.upper() in vocabulary.currencies:
        return Currency(text.upper())
    raise WordProblem(
        "currency_unknown",
        f"'{text}' is no currency here; there are {', '.join(vocabulary.currencies)}.",
        nearest(text.upper(), vocabulary.currencies),
    )


def _fits_currency(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a word is, or may have been meant as, a currency: it is then never taken for anything else."""
    known = text.upper() in vocabulary.currencies or _SYMBOL_LIKE.fullmatch(text) is not None
    return known or nearest(text.upper(), vocabulary.currencies) is not None


def _read_id(text: str, _: Vocabulary) -> Value:
    match = _ID.fullmatch(text)
    if match is None:
        raise WordProblem(
            "id_malformed",
            f"'{text}' is no id: type the 8 digits shown on the card, such as 1a2b3c4d, or the whole id.",
        )
    return IdPrefix(match[1].replace("-", "").lower())


def _read_signature(text: str, _: Vocabulary) -> Value:
    digits = len(text) - 2
    if _SIGNATURE.fullmatch(text) and digits >= _SIGNATURE_DIGITS:
        return Signature(text)
    raise WordProblem(
        "signature_malformed",
        f"A signature is 0x followed by {_SIGNATURE_DIGITS} digits 0 to 9 and a to f; this has "
        f"{max(digits, 0)} characters after 0x. Copy it whole.",
    )


def _read_count(text: str, _: Vocabulary) -> Value:
    if not _COUNT.fullmatch(text):
        raise WordProblem(
            "count_malformed", f"'{text}' is no count: type a number from 1 to {MAX_HISTORY_ROWS}."
        )
    if int(text) > MAX_HISTORY_ROWS:
        raise WordProblem(
            "count_too_large", f"At most {MAX_HISTORY_ROWS} can be shown at once.", str(MAX_HISTORY_ROWS)
        )
    return Count(int(text))


def _show_quiet_hours(value: QuietHours) -> str:
    return "off" if value.starts_at is None else f"{value.starts_at:%H:%M} {value.ends_at:%H:%M}"


def _read_name(text: str, _: Vocabulary) -> Value:
    return read_contact_name(text)


def _fits_id(text: str, _: Vocabulary) -> bool:
    return _ID.fullmatch(text) is not None


def _always(_: str, __: Vocabulary) -> bool:
    return True


READINGS: dict[Kind, Reading] = {
    Kind.RECIPIENT: Reading(
        "@name, 0x address or the name of a saved contact", _always, _read_recipient, _show_recipient
    ),
    Kind.PAYEE: Reading("@name or 0x address", _always, _read_payee, _show_recipient),
    Kind.CONTACT: Reading("name of a contact", _always, _read_name, lambda value: value.name),
    Kind.AMOUNT: Reading(
        "positive plain decimal such as 12.5",
        _always,
        lambda text, vocabulary: Amount(amounts.read_amount(text, vocabulary.currencies)),
        lambda value: value.text,
    ),
    Kind.CURRENCY: Reading(
        "symbol of a configured token",
        _fits_currency,
        _read_currency,
        lambda value: value.symbol,
    ),
    Kind.INTENT: Reading(
        "id of a payment, its first 8 digits or all of it",
        _fits_id,
        _read_id,
        lambda value: value.digits,
    ),
    Kind.SIGNATURE: Reading(
        "signature by your wallet, 0x and 130 digits",
        lambda text, _: text.lower().startswith("0x"),
        _read_signature,
        lambda value: value.hex,
    ),
    Kind.COUNT: Reading(
        f"number from 1 to {MAX_HISTORY_ROWS}",
        lambda text, _: text.isdecimal(),
        _read_count,
        lambda value: str(value.number),
    ),
    Kind.TOPIC: Reading(
        "name of a command",
        _always,
        lambda text, _: Topic(text.lower().lstrip("/")),
        lambda value: value.name,
    ),
    Kind.MOMENT: Reading(
        "time such as 'at 2026-12-25 14:00', 'at tomorrow 9am', 'at friday 18:00' or 'in 2 hours'",
        _always,
        lambda text, _: read_moment(text),
        str,
    ),
    Kind.CONDITION: Reading(
        "condition such as 'if CRO < 0.10' or 'if gas < 5000 gwei'",
        _always,
        lambda text, vocabulary: read_condition(text, vocabulary.currencies),
        str,
    ),
    Kind.RECURRENCE: Reading(
        "'every day at 9:00', 'every friday at 18:00', 'every 2 months on 31 at 9:00' or 'cron 0 9 * * 1'",
        _always,
        lambda text, _: read_recurrence(text),
        str,
    ),
    Kind.DATE: Reading(
        "date such as 2026-12-25",
        _always,
        lambda text, _: Day(read_date(text)),
        lambda value: value.date.isoformat(),
    ),
    Kind.TIMES: Reading(
        "count such as 12 times",
        _always,
        lambda text, _: subjects.read_times(text),
        lambda value: f"{value.number} times",
    ),
    Kind.TEMPLATE: Reading("name of a template", _always, _read_name, lambda value: value.name),
    Kind.MEMO: Reading(
        "note for whoever pays",
        _always,
        lambda text, _: subjects.read_memo(text),
        lambda value: value.text,
    ),
    Kind.CODE: Reading(
        "link of a payment request, or the letters at its end",
        _always,
        lambda text, _: subjects.read_code(text),
        lambda value: value.code,
    ),
    Kind.ZONE: Reading(
        "IANA name such as Europe/Berlin",
        _always,
        lambda text, _: subjects.read_zone(text),
        lambda value: value.name,
    ),
    Kind.FIAT: Reading(
        "three letters such as USD",
        _always,
        lambda text, _: subjects.read_fiat(text),
        lambda value: value.code,
    ),
    Kind.PRICE: Reading(
        "price of one token such as 0.10",
        _always,
        lambda text, _: subjects.read_price(text),
        lambda value: value.text,
    ),
    Kind.QUIET_HOURS: Reading(
        "begin and end such as 22:00 07:00, or off",
        _always,
        lambda text, _: subjects.read_quiet_hours(text),
        _show_quiet_hours,
    ),
    Kind.ALERT: Reading("id of an alert", _fits_id, _read_id, lambda value: value.digits),
    Kind.DEVICE: Reading("id of a device", _fits_id, _read_id, lambda value: value.digits),
}
"""How arguments of each kind are treated; choices and sets of payments are read by `commands`."""
