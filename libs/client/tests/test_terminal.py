"""The terminal client's parts: what is shown in place, what is asked once, where keys come from."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from snowrail_client.cards import Action, Card, parse_card
from snowrail_client.terminal.board import MAX_LIVE_CARDS, Board
from snowrail_client.terminal.consent import Consent, describe
from snowrail_client.terminal.keys import KeyProblem, is_readable_by_others, load_wallet
from snowrail_client.terminal.output import printable

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Publicly known key of the first development account."""
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
PASSWORD = "open sesame"


def payment(card_id: str = "1", version: int = 1, status: str = "pending", **changes: Any) -> Card:
    wire = {"card_id": card_id, "kind": "payment", "title": "Pay 5 CRO", "status": status, "version": version}
    return parse_card({**wire, **changes})


def sign(label: str, kind: str, **payload: Any) -> dict[str, Any]:
    return {"label": label, "command": "/confirm 1", "sign": {"kind": kind, kind: payload}}


async def never() -> str:
    raise AssertionError("no password is needed")


def test_a_card_changes_in_place_until_its_end() -> None:
    board = Board()
    assert board.put(payment(), "Pay 5 CRO\n  first") is None
    assert board.lines(20, 80) == ["Pay 5 CRO", "  first"]
    assert board.put(payment(version=3), "Pay 5 CRO\n  third") is None
    assert board.put(payment(version=2), "Pay 5 CRO\n  second") is None
    assert board.lines(20, 80) == ["Pay 5 CRO", "  third"]
    assert board.put(payment(version=4, status="final"), "Pay 5 CRO [final]") == "Pay 5 CRO [final]"
    assert board.lines(20, 80) == []
    assert board.put(payment(version=4, status="final"), "Pay 5 CRO [final]") is None


def test_other_cards_are_printed_at_once() -> None:
    card = replace(payment(), kind="help")
    assert Board().put(card, "Commands\x1b[2J") == "Commands[2J"


def test_many_cards_stay_within_the_screen() -> None:
    board = Board()
    for number in range(MAX_LIVE_CARDS + 2):
        board.put(payment(str(number), title=f"Pay {number}"), "\n".join(f"line {row}" for row in range(50)))
    assert len(board.crowded_out()) == 2
    lines = board.lines(12, 40)
    assert len(lines) == 12
    assert all(len(line) <= 40 for line in lines)
    assert lines[0] == "· Pay 2 [pending]"
    assert "more lines" in lines[-1]


def test_each_thing_is_asked_for_once() -> None:
    consent = Consent()
    card = payment(actions=[sign("Approve", "transaction", to="0x1"), sign("Sign", "typed_data", message={})])
    asked = [consent.next_action(card) for _ in range(3)]
    assert [action.label if action else None for action in asked] == ["Approve", "Sign", None]
    changed = payment(version=2, actions=[sign("Sign", "typed_data", message={"amount": "2"})])
    assert consent.next_action(changed) is not None
    consent.ask_anew(card)
    assert consent.next_action(card) is not None
    assert consent.next_action(payment("2", actions=[])) is None


def test_what_is_signed_is_described_from_itself() -> None:
    document = {
        "domain": {"name": "Snowrail", "chainId": 31337, "verifyingContract": "0xe5"},
        "primaryType": "Order",
        "message": {"recipient": ADDRESS, "amount": "5000000\x1b[31m"},
    }
    lines = describe(
        Action("Sign", "/confirm", "primary", {"kind": "typed_data", "typed_data": document}, False)
    )
    assert f"recipient  {ADDRESS}" in lines
    assert "amount     5000000[31m" in lines
    transaction = {
        "to": "0xe5",
        "value": "7",
        "data": "0x12345678" + "00" * 32,
        "chain_id": 31337,
        "purpose": "fund",
    }
    lines = describe(
        Action("Sign", "/x", "primary", {"kind": "transaction", "transaction": transaction}, False)
    )
    assert lines[1:] == ["to         0xe5", "value      7 wei", "data       0x12345678 and 32 more bytes"]
    assert "unknown" in describe(Action("Sign", "/x", "primary", {"kind": "unknown"}, False))[0]


def test_nothing_steers_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x07\r\u202e\nc") == "a[2Jb\nc"


async def test_a_key_comes_from_the_environment_and_leaves_it() -> None:
    environment = {"SNOWRAIL_PRIVATE_KEY": KEY, "HOME": "/"}
    assert (await load_wallet(None, environment, never)).address == ADDRESS
    assert environment == {"HOME": "/"}


async def test_a_key_comes_from_a_keystore(tmp_path: Path) -> None:
    file = tmp_path / "keystore.json"
    file.write_text(json.dumps(Account.from_key(KEY).encrypt(PASSWORD, iterations=2)))

    async def typed() -> str:
        return PASSWORD

    assert (await load_wallet(file, {}, typed)).address == ADDRESS
    environment = {"SNOWRAIL_KEYSTORE_PASSWORD": "wrong"}
    with pytest.raises(KeyProblem, match="password is wrong") as problem:
        await load_wallet(file, environment, never)
    assert PASSWORD not in str(problem.value)
    assert environment == {}
    file.chmod(0o644)
    assert is_readable_by_others(file)
    file.chmod(0o600)
    assert not is_readable_by_others(file)


@pytest.mark.parametrize("content", ["", "{}", "[]", "no json", '{"version": 3}'])
async def test_a_broken_keystore_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keystore.json"
    file.write_text(content)
    with pytest.raises(KeyProblem):
        await load_wallet(file, {"SNOWRAIL_KEYSTORE_PASSWORD": "x"}, never)
    with pytest.raises(KeyProblem, match="cannot be read"):
        await load_wallet(tmp_path / "missing", {}, never)


@pytest.mark.parametrize("key", ["", "0x1234", "nonsense"])
async def test_a_bad_key_is_never_quoted(key: str) -> None:
    with pytest.raises(KeyProblem) as problem:
        await load_wallet(None, {"SNOWRAIL_PRIVATE_KEY": key}, never)
    assert not key or key not in str(problem.value)
    assert problem.value.__cause__ is None
