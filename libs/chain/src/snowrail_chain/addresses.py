"""Addresses: strict EIP-55 parsing, checksums, look-alikes."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar

from eth_hash.auto import keccak

NATIVE_TOKEN = "0x0000000000000000000000000000000000000000"  # noqa: S105 - an address, not a secret
"""Token address that stands for the chain's native coin."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_LOOK_ALIKE_DIGITS = 4
_CHECKSUM_CACHE_ENTRIES = 65_536


class AddressError(ValueError):
    """The text is not an address that may be used.

    Attributes:
        code: Stable code for interfaces.
        checksummed: The same address in EIP-55 form, to be offered for confirmation, where there is one.
    """

    code: ClassVar[str] = "address_invalid"

    def __init__(self, message: str, checksummed: str | None = None) -> None:
        super().__init__(message)
        self.checksummed = checksummed


class NotAnAddress(AddressError):
    """Not `0x` and 40 hexadecimal digits."""

    code = "address_malformed"


class WrongChecksum(AddressError):
    """Mixed case that is not the EIP-55 form: at least one character is probably wrong."""

    code = "address_checksum_wrong"


class MissingChecksum(AddressError):
    """All letters in one case, so that no checksum protects the address; the EIP-55 form is offered."""

    code = "address_checksum_missing"


@lru_cache(maxsize=_CHECKSUM_CACHE_ENTRIES)
def checksum_address(address: bytes) -> str:
    """EIP-55 form of a 20-byte address.

    Raises:
        NotAnAddress: Not 20 bytes.
    """
    if len(address) != 20:
        raise NotAnAddress(f"an address has 20 bytes, not {len(address)}")
    digits = address.hex()
    digest = keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit
        for digit, nibble in zip(digits, digest, strict=False)
    )


def parse_address(text: str) -> str:
    """Accept exactly the EIP-55 form of an address and return it.

    Raises:
        NotAnAddress: Not `0x` and 40 hexadecimal digits.
        WrongChecksum: Mixed case that does not match the checksum.
        MissingChecksum: One case only; the error offers the checksummed form.
    """
    if not _ADDRESS.fullmatch(text):
        raise NotAnAddress("an address is 0x followed by 40 hexadecimal digits")
    digits = text[2:]
    checksummed = checksum_address(bytes.fromhex(digits))
    if text == checksummed:
        return text
    if digits in (digits.lower(), digits.upper()):
        raise MissingChecksum(
            "the address carries no checksum; compare it with the form offered", checksummed
        )
    raise WrongChecksum("the address does not match its checksum: a character is wrong")


def is_look_alike(address: str, other: str) -> bool:
    """Whether two different addresses share their first four and last four digits, as poisoned ones do."""
    left, right = address[2:].lower(), other[2:].lower()
    return (
        left != right
        and left[:_LOOK_ALIKE_DIGITS] == right[:_LOOK_ALIKE_DIGITS]
        and left[-_LOOK_ALIKE_DIGITS:] == right[-_LOOK_ALIKE_DIGITS:]
    )


def find_look_alike(address: str, known: Iterable[str]) -> str | None:
    """The first of the known addresses that `address` imitates, or nothing."""
    return next((other for other in known if is_look_alike(address, other)), None)
