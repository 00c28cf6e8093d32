"""Whether a signed message proves that the caller holds a wallet, here and now."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from eth_hash.auto import keccak

from snowrail_accounts.domain.message import SignInMessage
from snowrail_chain.eip712 import InvalidSignature, recover_signer

CLOCK_TOLERANCE = timedelta(seconds=60)
"""How far the clock of whoever made the message may be off."""
_SIGNATURE_FORM = re.compile(r"0x[0-9a-fA-F]{130}")


class SignInRefused(Exception):
    """The message or its signature does not let anybody in.

    Attributes:
        code: stable code.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Origin:
    """The public origin that wallets show: what `domain` and `URI` of a message must belong to.

    Attributes:
        scheme: `https`, or `http` on a developer's machine.
        domain: host with its port, where there is one.
    """

    scheme: str
    domain: str

    @classmethod
    def of(cls, url: str) -> "Origin":
        """Return the origin of a URL. Raises ValueError when it has no scheme or host."""
        parts = urlsplit(url)
        if not parts.scheme or not parts.netloc:
            raise ValueError(f"not an origin: {url!r}")
        return cls(parts.scheme.lower(), parts.netloc.lower())

    @property
    def url(self) -> str:
        """The origin as browsers write it."""
        return f"{self.scheme}://{self.domain}"


@dataclass(frozen=True, slots=True)
class IssuedNonce:
    """A nonce that we gave out, and for whom.

    Attributes:
        address: EIP-55 address that asked for it.
        chain_id: EIP-155 chain that the message must name.
    """

    nonce: str
    address: str
    chain_id: int
    issued_at: datetime
    expires_at: datetime


def compose_message(issued: IssuedNonce, origin: Origin, statement: str) -> SignInMessage:
    """Return the message that a wallet is asked to sign for a nonce."""
    return SignInMessage(
        domain=origin.domain,
        address=issued.address,
        uri=origin.url,
        chain_id=issued.chain_id,
        nonce=issued.nonce,
        issued_at=_format_moment(issued.issued_at),
        expiration_time=_format_moment(issued.expires_at),
        statement=statement,
    )


def check_message(message: SignInMessage, issued: IssuedNonce, origin: Origin, now: datetime) -> None:
    """Check what a message states against what we asked for.

    Raises:
        SignInRefused: it is for another site, account, chain or time.
    """
    if message.domain.lower() != origin.domain or message.scheme not in (None, origin.scheme):
        raise SignInRefused("wrong_domain", f"the message is for {message.domain}, not for {origin.domain}")
    uri = urlsplit(message.uri)
    if (uri.scheme.lower(), uri.netloc.lower()) != (origin.scheme, origin.domain):
        raise SignInRefused("wrong_uri", f"the message is about {message.uri}, which is not at {origin.url}")
    if message.address != issued.address:
        raise SignInRefused("wrong_address", "the nonce was given to another address")
    if message.chain_id != issued.chain_id:
        raise SignInRefused("wrong_chain", f"the nonce was given for chain {issued.chain_id}")
    if message.issued > now + CLOCK_TOLERANCE:
        raise SignInRefused("issued_in_future", "the message says it was made in the future")
    if message.issued < issued.issued_at - CLOCK_TOLERANCE:
        raise SignInRefused("issued_too_early", "the message is older than its nonce")
    if message.expires is not None and message.expires <= now:
        raise SignInRefused("message_expired", "the message has expired")
    if message.valid_from is not None and message.valid_from > now + CLOCK_TOLERANCE:
        raise SignInRefused("not_yet_valid", "the message is not valid yet")


def personal_digest(text: str) -> bytes:
    """Return the 32 bytes that `personal_sign` signs for a text (EIP-191, version 0x45).

    Source: https://eips.ethereum.org/EIPS/eip-191
    """
    encoded = text.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(encoded)).encode() + encoded)


def check_signature(text: str, signature: str, address: str) -> None:
    """Check that the key of an address signed the text.

    Some wallets count the recovery id from 0 instead of 27; both are one and the same signature.

    Args:
        text: the message as it was signed.
        signature: `0x` and 65 bytes in hex.
        address: EIP-55 address.

    Raises:
        SignInRefused: malformed, or made by another key.
    """
    if not _SIGNATURE_FORM.fullmatch(signature):
        raise SignInRefused("signature_malformed", "a signature is 0x and 130 hexadecimal digits")
    raw = bytearray.fromhex(signature[2:])
    if raw[64] in (0, 1):
        raw[64] += 27
    try:
        signer = recover_signer(personal_digest(text), bytes(raw))
    except InvalidSignature as error:
        raise SignInRefused("signature_malformed", str(error)) from error
    if signer != address:
        raise SignInRefused("wrong_signature", "the signature was made by another account")


def _format_moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
