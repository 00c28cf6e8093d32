"""The sign-in message of EIP-4361 (Sign-In with Ethereum), version 1.

Source: https://eips.ethereum.org/EIPS/eip-4361 (ABNF message format). What is signed is the text; this module
says whether a text is such a message and what it claims.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from snowrail_accounts.domain import syntax
from snowrail_chain.addresses import AddressError, parse_address

MAX_MESSAGE_CHARACTERS = 4_000
"""Below the number of digits that Python reads as an integer."""
MIN_NONCE_CHARACTERS = 8
_HEADING = " wants you to sign in with your Ethereum account:"
_VERSION = "1"


class MessageError(ValueError):
    """The text is not an EIP-4361 message.

    Attributes:
        code: stable code for interfaces.
        field: the field at fault.
    """

    code: ClassVar[str] = "message_malformed"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


@dataclass(frozen=True, slots=True)
class SignInMessage:
    """What an EIP-4361 message states. Fields are texts as they appear in it.

    Attributes:
        domain: RFC 3986 authority that asks for the signature.
        address: EIP-55 address of the signer.
        uri: subject of the signing.
        chain_id: EIP-155 chain that the session is bound to.
        nonce: at least eight letters or digits.
        issued_at, expiration_time, not_before: RFC 3339 date-times.
        scheme: of the origin; None means https.
        statement: for the person who signs; None when the line is missing.
        request_id, resources: None when missing.

    Raises:
        MessageError: a field does not have its form.
    """

    domain: str
    address: str
    uri: str
    chain_id: int
    nonce: str
    issued_at: str
    scheme: str | None = None
    statement: str | None = None
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.scheme is not None and not syntax.is_scheme(self.scheme):
            raise MessageError("scheme", "is not an RFC 3986 scheme")
        if not syntax.is_authority(self.domain):
            raise MessageError("domain", "is not an RFC 3986 authority")
        try:
            parse_address(self.address)
        except AddressError as error:
            raise MessageError("address", str(error)) from error
        if self.statement is not None and not syntax.is_statement(self.statement):
            raise MessageError("statement", "has a character that is not allowed")
        if not syntax.is_uri(self.uri):
            raise MessageError("URI", "is not an RFC 3986 URI")
        if self.chain_id < 0:
            raise MessageError("Chain ID", "is negative")
        if len(self.nonce) < MIN_NONCE_CHARACTERS or not (self.nonce.isascii() and self.nonce.isalnum()):
            raise MessageError("Nonce", f"is not at least {MIN_NONCE_CHARACTERS} letters and digits")
        for name, text in (
            ("Issued At", self.issued_at),
            ("Expiration Time", self.expiration_time),
            ("Not Before", self.not_before),
        ):
            _check_moment(name, text)
        if self.request_id is not None and not syntax.is_pchars(self.request_id):
            raise MessageError("Request ID", "has a character that is not allowed")
        if not all(syntax.is_uri(resource) for resource in self.resources or ()):
            raise MessageError("Resources", "one is not an RFC 3986 URI")

    @property
    def issued(self) -> datetime:
        """When the message says it was made."""
        return syntax.parse_date_time(self.issued_at)

    @property
    def expires(self) -> datetime | None:
        """From when on it is no longer valid."""
        return None if self.expiration_time is None else syntax.parse_date_time(self.expiration_time)

    @property
    def valid_from(self) -> datetime | None:
        """From when on it is valid."""
        return None if self.not_before is None else syntax.parse_date_time(self.not_before)

    def render(self) -> str:
        """Return the text to sign; `parse_message` reads it back."""
        origin = self.domain if self.scheme is None else f"{self.scheme}://{self.domain}"
        lines = [f"{origin}{_HEADING}", self.address, ""]
        if self.statement is not None:
            lines.append(self.statement)
        lines += [
            "",
            f"URI: {self.uri}",
            f"Version: {_VERSION}",
            f"Chain ID: {self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {self.issued_at}",
        ]
        for name, text in (
            ("Expiration Time", self.expiration_time),
            ("Not Before", self.not_before),
            ("Request ID", self.request_id),
        ):
            if text is not None:
                lines.append(f"{name}: {text}")
        if self.resources is not None:
            lines += ["Resources:", *(f"- {resource}" for resource in self.resources)]
        return "\n".join(lines)


class _Lines:
    """The lines of a message, taken one after the other."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._next = 0

    @property
    def is_empty(self) -> bool:
        return self._next == len(self._lines)

    def take(self, field: str) -> str:
        if self.is_empty:
            raise MessageError(field, "is missing")
        self._next += 1
        return self._lines[self._next - 1]

    def take_blank(self, field: str) -> None:
        if self.take(field):
            raise MessageError(field, "is not preceded by an empty line")

    def take_field(self, field: str) -> str:
        line = self.take(field)
        if not line.startswith(f"{field}: "):
            raise MessageError(field, "is missing or out of order")
        return line[len(field) + 2 :]

    def take_optional(self, field: str) -> str | None:
        return None if self.peek(f"{field}: ") is None else self.take_field(field)

    def peek(self, prefix: str, ahead: int = 0) -> str | None:
        position = self._next + ahead
        if position >= len(self._lines) or not self._lines[position].startswith(prefix):
            return None
        return self._lines[position]


def parse_message(text: str) -> SignInMessage:
    """Read a message strictly as the ABNF has it.

    Raises:
        MessageError: it is not an EIP-4361 message of version 1, or is longer than we read.
    """
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise MessageError("message", f"is longer than {MAX_MESSAGE_CHARACTERS} characters")
    lines = _Lines(text)
    heading = lines.take("domain")
    if not heading.endswith(_HEADING):
        raise MessageError("domain", f"the first line does not end with '{_HEADING.strip()}'")
    scheme, separator, domain = heading.removesuffix(_HEADING).rpartition("://")
    address = lines.take("address")
    lines.take_blank("statement")
    statement = _take_statement(lines)
    uri = lines.take_field("URI")
    if lines.take_field("Version") != _VERSION:
        raise MessageError("Version", f"is not {_VERSION}")
    chain_id = lines.take_field("Chain ID")
    if not (chain_id.isascii() and chain_id.isdecimal()):
        raise MessageError("Chain ID", "is not a number")
    return SignInMessage(
        domain=domain,
        address=address,
        uri=uri,
        chain_id=int(chain_id),
        nonce=lines.take_field("Nonce"),
        issued_at=lines.take_field("Issued At"),
        scheme=scheme if separator else None,
        statement=statement,
        expiration_time=lines.take_optional("Expiration Time"),
        not_before=lines.take_optional("Not Before"),
        request_id=lines.take_optional("Request ID"),
        resources=_take_resources(lines),
    )


def _take_statement(lines: _Lines) -> str | None:
    # without a statement one empty line precedes the URI; an empty statement makes it two
    if lines.peek("") == "" and lines.peek("URI: ", ahead=1) is not None:
        lines.take_blank("URI")
        return None
    statement = lines.take("statement")
    lines.take_blank("URI")
    return statement


def _take_resources(lines: _Lines) -> tuple[str, ...] | None:
    if lines.is_empty:
        return None
    if lines.take("Resources") != "Resources:":
        raise MessageError("Resources", "another field follows out of order")
    resources: list[str] = []
    while not lines.is_empty:
        line = lines.take("Resources")
        if not line.startswith("- "):
            raise MessageError("Resources", "a line does not begin with '- '")
        resources.append(line[2:])
    return tuple(resources)


def _check_moment(name: str, text: str | None) -> None:
    if text is None:
        return
    try:
        syntax.parse_date_time(text)
    except ValueError as error:
        raise MessageError(name, "is not an RFC 3339 date-time") from error
