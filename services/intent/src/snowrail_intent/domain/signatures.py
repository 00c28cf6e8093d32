"""Whether a payer's signature authorises an intent."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from snowrail_chain.config import ChainConfig
from snowrail_chain.eip712 import InvalidSignature, Order, recover_signer, signing_digest
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.refusals import NOT_FOUND, Refusal
from snowrail_intent.domain.states import Status

_SIGNATURE_BYTES = 65
_ENDED = {
    Status.CANCELLED: Refusal("intent_cancelled", "This intent was cancelled; create a new one."),
    Status.EXPIRED: Refusal("order_expired", "The order has expired; create a new intent."),
    Status.FAILED: Refusal("intent_failed", "This intent has failed; create a new one."),
}
_ALREADY = Refusal("already_authorised", "This intent is authorised already; there is nothing left to sign.")
_FUND = Refusal(
    "funding_required",
    "The native coin is authorised by sending the funding transaction from your wallet, not by a signature.",
)
_MALFORMED = Refusal("malformed_signature", "A signature has 65 bytes: 0x and 130 hexadecimal digits.")
_WRONG_CHAIN = Refusal("wrong_chain", "This was signed for another chain; switch your wallet and sign again.")


@dataclass(frozen=True, slots=True)
class Authorisation:
    """A signature that a user hands in for an intent.

    Attributes:
        signature: `0x` and hexadecimal digits.
        chain_id: chain the wallet says it signed for, where it says so.
    """

    intent_id: UUID
    user_id: UUID
    signature: str
    chain_id: int | None


def check_authorisation(
    intent: Intent | None, given: Authorisation, now: datetime, chains: Iterable[ChainConfig]
) -> bytes | Refusal:
    """Return the signature in the form the escrow takes, or why it does not authorise the intent.

    Args:
        intent: the intent named, or None when there is no such intent.
        given: what the user hands in.
        now: expired orders are refused.
        chains: configured chains, to tell a signature for another chain from a wrong one.
    """
    if intent is None or intent.user_id != given.user_id:
        return NOT_FOUND
    if intent.status is not Status.AWAITING_AUTHORISATION:
        return _ENDED.get(intent.status, _ALREADY)
    if now >= intent.expires_at:
        return _ENDED[Status.EXPIRED]
    if intent.is_native:
        return _FUND
    if given.chain_id is not None and given.chain_id != intent.chain_id:
        return _WRONG_CHAIN
    signature = read_signature(given.signature)
    if signature is None:
        return _MALFORMED
    return _check_signer(intent, signature, chains)


def read_signature(text: str) -> bytes | None:
    """Return 65 bytes r, s, v from hexadecimal text, or None when the text is no signature.

    Some wallets give the recovery id as 0 or 1, where the escrow takes 27 or 28.
    """
    signature = bytes.fromhex(text[2:])
    if len(signature) != _SIGNATURE_BYTES:
        return None
    return signature[:-1] + bytes((signature[-1] + 27,)) if signature[-1] < 2 else signature


def _check_signer(intent: Intent, signature: bytes, chains: Iterable[ChainConfig]) -> bytes | Refusal:
    signer = _signer(intent.order, intent.chain_id, intent.escrow, signature)
    if signer is None:
        return _MALFORMED
    if signer == intent.order.payer:
        return signature
    for chain in chains:
        if chain.chain_id != intent.chain_id and intent.order.payer in (
            _signer(intent.order, chain.chain_id, chain.escrow, signature),
            _signer(intent.order, chain.chain_id, intent.escrow, signature),
        ):
            return _WRONG_CHAIN
    return Refusal(
        "wrong_signature",
        f"This signature is not by {intent.order.payer} over these terms; sign what the preview shows"
        " with that account.",
    )


def _signer(order: Order, chain_id: int, escrow: str, signature: bytes) -> str | None:
    try:
        return recover_signer(signing_digest(order, chain_id, escrow), signature)
    except InvalidSignature:
        return None
