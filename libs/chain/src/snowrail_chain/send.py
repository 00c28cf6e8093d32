"""What a node's answer to a raw transaction means.

Nodes word the same refusal differently; what no rule recognises is UNKNOWN, which is not a failure: the
transaction may have been taken, and only its hash and the account's nonce tell.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class SendOutcome(StrEnum):
    """What the node did with a raw transaction."""

    ACCEPTED = "accepted"
    ALREADY_KNOWN = "already_known"
    NONCE_TOO_LOW = "nonce_too_low"
    NONCE_TOO_HIGH = "nonce_too_high"
    UNDERPRICED = "underpriced"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SendResult:
    """Outcome of sending one transaction.

    Attributes:
        outcome: What the node did.
        transaction_hash: Hash of the bytes that were sent, computed here and not taken from the node.
        message: What the node said, or why there is no answer; empty when accepted.
    """

    outcome: SendOutcome
    transaction_hash: str
    message: str = ""


# Wordings of geth and erigon, anvil, nethermind, besu, and of ethermint as Cronos runs it.
_RULES: tuple[tuple[SendOutcome, tuple[str, ...]], ...] = (
    (
        SendOutcome.ALREADY_KNOWN,
        (
            "already known",
            "alreadyknown",
            "already imported",
            "known transaction",
            "already in mempool",
            "already exists in cache",
            "tx already in",
        ),
    ),
    (SendOutcome.NONCE_TOO_LOW, ("nonce too low", "oldnonce", "nonce is too low")),
    (
        SendOutcome.NONCE_TOO_HIGH,
        ("nonce too high", "noncegap", "nonce gap", "nonce is too high", "too distant"),
    ),
    (
        SendOutcome.UNDERPRICED,
        (
            "underpriced",
            "fee too low",
            "feetoolow",
            "insufficient fee",
            "minimum global fee",
            "less than block base fee",
            "lower than base fee",
            "gas price below",
            "gas price too low",
        ),
    ),
    (
        SendOutcome.INSUFFICIENT_FUNDS,
        ("insufficient funds", "insufficientfunds", "upfront cost exceeds", "sender balance <"),
    ),
)
_ETHERMINT_NONCE = re.compile(r"invalid nonce; got (\d+), expected (\d+)")


def classify_send_error(message: str) -> SendOutcome:
    """Classify the message of a refused `eth_sendRawTransaction`."""
    text = message.lower()
    nonce = _ETHERMINT_NONCE.search(text)
    if nonce:
        got, expected = int(nonce[1]), int(nonce[2])
        return SendOutcome.NONCE_TOO_LOW if got < expected else SendOutcome.NONCE_TOO_HIGH
    for outcome, wordings in _RULES:
        if any(wording in text for wording in wordings):
            return outcome
    return SendOutcome.UNKNOWN
