"""Kinds of arguments: how each is recognised, read, and written back."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from snowrail_chain.addresses import AddressError, MissingChecksum, NotAnAddress, parse_address
from snowrail_chat.domain import amounts
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.values import (
    Amount,
    ContactName,
    Count,
    Currency,
    Handle,
    IdPrefix,
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


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """Return the choice that a mistyped word most likely meant."""
    found = get_close_matches(word, choices, n=1, cutoff=0.6)
    return found[0] if found else None


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
    if not text.strip() or text != text.strip() or len(text) > MAX_NAME_CHARACTERS:
        raise WordProblem(
            "name_malformed",
            f"A contact's name has 1 to {MAX_NAME_CHARACTERS} characters and no outer spaces.",
        )
    if text.startswith("@") or text.lower().startswith("0x"):
        raise WordProblem("name_malformed", "A contact's name starts neither with @ nor with 0x.")
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


def _always(_: str, __: Vocabulary) -> bool:
    return True


READINGS: dict[Kind, Reading] = {
    Kind.RECIPIENT: Reading(
        "@name, 0x address or the name of a saved contact", _always, _read_recipient, _show_recipient
    ),
    Kind.PAYEE: Reading("@name or 0x address", _always, _read_payee, _show_recipient),
    Kind.CONTACT: Reading(
        "name of a contact", _always, lambda text, _: read_contact_name(text), lambda value: value.name
    ),
    Kind.AMOUNT: Reading(
        "positive plain decimal such as 12.5",
        _always,
        lambda text, vocabulary: Amount(amounts.read_amount(text, vocabulary.currencies)),
        lambda value: value.text,
    ),
    Kind.CURRENCY: Reading(
        "symbol of a configured token",
        lambda text, vocabulary: text.upper() in vocabulary.currencies,
        _read_currency,
        lambda value: value.symbol,
    ),
    Kind.INTENT: Reading(
        "id of a payment, its first 8 digits or all of it",
        lambda text, _: _ID.fullmatch(text) is not None,
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
}
"""How arguments of each kind are treated."""
