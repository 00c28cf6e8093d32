"""One line for each event of a feed."""

from collections.abc import Callable, Mapping
from typing import Any

from snowrail_client import Event
from snowrail_local.demo.chain import Chain
from snowrail_local.demo.screen import Style

Data = Mapping[str, Any]


def line_of(event: Event, chain: Chain) -> tuple[str, Style] | None:
    """Return an event in words; None for a new card, which is shown as a whole."""
    if event.name == "chat:message" and event.data["replaces"] is None:
        return None
    describe = _LINES.get(event.name)
    text = "" if describe is None else describe(event.data, chain)
    return text, _STYLES.get(event.name, Style.PLAIN)


def short(value: str) -> str:
    """Return the head and tail of an address, a hash or a signature."""
    return value if len(value) <= 16 else f"{value[:8]}…{value[-6:]}"


def plain(word: str) -> str:
    """Return a code as words."""
    return word.replace("_", " ")


def _card(data: Data, _: Chain) -> str:
    card = data["card"]
    progress = card["progress"]
    done = f" ({progress['done']} of {progress['total']})" if progress else ""
    reason = next((f". {row['value']}" for row in card["rows"] if row["label"] == "Reason"), "")
    title = card["title"].partition(" (")[0]
    return f"card “{title}”: {plain(card['status'] or '')}{done}{reason}"


def _intent(data: Data, chain: Chain) -> str:
    recipient = data.get("recipient_label") or short(data["recipient"])
    reason = f" ({plain(data['reason'])})" if data.get("reason") else ""
    amount = chain.amount_text(data["token"], data["amount"])
    return f"{amount} to {recipient}: {plain(data['status'])}{reason}"


def _transaction(data: Data, chain: Chain) -> str:
    block = f" in block {data['block_number']}" if data.get("block_number") else ""
    code = f": {plain(data['code'])}" if data.get("code") else ""
    by = f" in {short(data['tx_hash'])}" if data.get("tx_hash") else ""
    return f"{chain.amount_text(data['token'], data['amount'])}{by}{block}{code}"


def _processed(data: Data, chain: Chain) -> str:
    amount = chain.amount_text(data["token"], data["amount"])
    way, other = ("to", data["recipient"]) if data["direction"] == "sent" else ("from", data["payer"])
    return f"{data['direction']} {amount} {way} {short(other)}"


def _notification(data: Data, _: Chain) -> str:
    return f"{data['title']}: {data['message']}"


def _read(data: Data, _: Chain) -> str:
    return f"{len(data['ids'])} read, {data['unread']} left"


_LINES: Mapping[str, Callable[[Data, Chain], str]] = {
    "chat:message": _card,
    "intent:created": _intent,
    "intent:updated": _intent,
    "intent:executed": _transaction,
    "tx:pending": _transaction,
    "tx:confirmed": _transaction,
    "tx:failed": _transaction,
    "fraud_detected": _transaction,
    "payment_processed": _processed,
    "notification": _notification,
    "notification:read": _read,
}
_STYLES = {
    "intent:executed": Style.GOOD,
    "payment_processed": Style.GOOD,
    "tx:failed": Style.BAD,
    "fraud_detected": Style.BAD,
    "resync": Style.BAD,
}
