"""Field types shared by events: what they look like on the wire and inside.

Amounts travel as decimal strings of integer atoms, because JSON numbers lose precision above 2**53.
"""

import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

MAX_ATOMS = 2**256 - 1
"""Largest amount, in atoms, that an EVM token can express."""

_DECIMAL_INTEGER = re.compile(r"(0|[1-9][0-9]{0,77})\Z")


def parse_atoms(value: Any) -> int:
    """Return an amount in atoms from its wire form (decimal string) or an int.

    Raises:
        ValueError: not a canonical decimal integer between 0 and 2**256 - 1.
    """
    if isinstance(value, str) and _DECIMAL_INTEGER.match(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_ATOMS:
        raise ValueError("an amount is a canonical decimal integer of atoms between 0 and 2**256-1")
    return value


Atoms = Annotated[
    int,
    BeforeValidator(parse_atoms),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^(0|[1-9][0-9]{0,77})$"}),
]
"""Integer atoms inside, decimal string on the wire."""

Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
"""EIP-55 address, 42 characters."""

Hash32 = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
"""32 bytes as lowercase hex: transaction, block and order hashes, salts."""

HexBytes = Annotated[str, Field(pattern=r"^0x([0-9a-fA-F]{2})*$", max_length=8_194)]
"""Bytes as hex, at most 4,096 of them."""

TokenId = Annotated[str, Field(pattern=r"^[0-9]{1,10}:0x[0-9a-fA-F]{40}$")]
"""`<chain id>:<token address>`; the native coin has the zero address."""

Handle = Annotated[str, Field(pattern=r"^[a-z0-9_]{3,32}$")]
"""User name without the leading `@`."""

Text = Annotated[str, Field(max_length=2_000)]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
"""Stable machine-readable code of a refusal or reason."""

ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time of day, `HH:MM`, in some time zone."""

__all__ = [
    "UUID",
    "Address",
    "Atoms",
    "ClockTime",
    "Code",
    "Handle",
    "Hash32",
    "HexBytes",
    "OrderTerms",
    "Part",
    "Text",
    "TokenId",
    "datetime",
]


class Part(BaseModel):
    """A value inside an event. Unknown fields are ignored: a newer writer may have added them."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class OrderTerms(Part):
    """The EIP-712 `Order` that the payer signs; field for field the struct of `IntentEscrow`."""

    payer: Address
    recipient: Address
    token: Address
    amount: Atoms
    valid_after: int = Field(ge=0, lt=2**64)
    valid_until: int = Field(ge=0, lt=2**64)
    max_gas_price: Atoms
    safety_buffer: Atoms
    min_interval: int = Field(ge=0, lt=2**64)
    max_executions: int = Field(ge=1, lt=2**32)
    max_fee: Atoms
    salt: Hash32
