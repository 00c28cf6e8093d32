"""Payments that users ask others for: codes, links, and what wallets read (EIP-681)."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import segno

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chat.domain.amounts import show_amount
from snowrail_chat.domain.cards import QrCode
from snowrail_chat.domain.subjects import CODE_CHARACTERS
from snowrail_kit.money import Token

LINK_PATH = "/api/chat/requests/"


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A payment asked for.

    Attributes:
        code: names it in its link; not to be guessed.
        message_id: the line that asked.
        handle, address: of who asks.
    """

    code: str
    message_id: UUID
    user_id: UUID
    handle: str
    address: str
    token: str
    amount: int
    memo: str
    made_at: datetime
    expires_at: datetime


def new_code(random_id: UUID) -> str:
    """Return the code of a request from a new random id: 60 bits that cannot be guessed from its time."""
    digest = hashlib.sha256(random_id.bytes).digest()
    return base64.b32encode(digest).decode().lower()[:CODE_CHARACTERS]


def link_of(code: str, origin: str) -> str:
    """Return the link that opens a request."""
    return f"{origin.rstrip('/')}{LINK_PATH}{code}"


def wallet_uri(request: PaymentRequest, token: Token) -> str:
    """Return what wallets read: a transfer of exactly this amount (EIP-681)."""
    if token.address == NATIVE_TOKEN:
        return f"ethereum:{request.address}@{token.chain_id}?value={request.amount}"
    transfer = f"address={request.address}&uint256={request.amount}"
    return f"ethereum:{token.address}@{token.chain_id}/transfer?{transfer}"


def pay_line(request: PaymentRequest, token: Token) -> str:
    """Return the command that pays a request."""
    return f"/pay {request.address} {show_amount(request.amount, token)}"


def qr_code(text: str) -> QrCode:
    """Return a text as a QR code."""
    matrix = segno.make(text, error="m", micro=False).matrix
    return QrCode(text, tuple("".join("1" if module else "0" for module in row) for row in matrix))
