"""What the wallet is asked to sign: each thing once, and described from what is signed, not from the card."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from snowrail_client.cards import Action, Card
from snowrail_client.terminal.output import printable

YES = "yes"


class Consent:
    """Which signing actions of cards were put to the user already."""

    def __init__(self) -> None:
        self._asked: set[tuple[str, str]] = set()

    def next_action(self, card: Card) -> Action | None:
        """Return the first thing of a card to sign that the user was not asked about; it counts as asked now.

        The actions of a card are in order: an approval comes before what needs it.
        """
        for action in card.signing_actions:
            key = (card.card_id, _digest(action))
            if key not in self._asked:
                self._asked.add(key)
                return action
        return None

    def ask_anew(self, card: Card) -> None:
        """Forget that the user was asked about a card, for one who asks to sign it again."""
        self._asked = {key for key in self._asked if key[0] != card.card_id}


def describe(action: Action) -> list[str]:
    """Return what signing means, as lines: read from the payload, so that no card can lie about it."""
    assert action.sign is not None, "only what is signed is described"
    if action.sign["kind"] == "typed_data":
        return _describe_typed_data(action.sign["typed_data"])
    if action.sign["kind"] == "transaction":
        return _describe_transaction(action.sign["transaction"])
    return [printable(f"something this program does not know: {action.sign['kind']}")]


def _describe_typed_data(document: Mapping[str, Any]) -> list[str]:
    domain, message = document.get("domain", {}), document.get("message", {})
    lines = [
        f"signature  {document.get('primaryType')} of {domain.get('name')}, chain {domain.get('chainId')}",
        f"contract   {domain.get('verifyingContract')}",
    ]
    lines += [f"{name:<10} {value}" for name, value in message.items()]
    return [printable(line).replace("\n", " ") for line in lines]


def _describe_transaction(transaction: Mapping[str, Any]) -> list[str]:
    data = str(transaction.get("data") or "0x")
    lines = [
        f"transaction on chain {transaction.get('chain_id')}: {transaction.get('purpose') or 'unnamed'}",
        f"to         {transaction.get('to')}",
        f"value      {transaction.get('value') or 0} wei",
        f"data       {data[:10]} and {max(len(data) - 10, 0) // 2} more bytes",
    ]
    return [printable(line).replace("\n", " ") for line in lines]


def _digest(action: Action) -> str:
    return hashlib.sha256(orjson.dumps(action.sign, option=orjson.OPT_SORT_KEYS)).hexdigest()
