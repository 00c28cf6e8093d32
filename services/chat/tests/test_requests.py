"""Payment requests: links, codes for wallets, and what whoever opens them gets."""

from datetime import timedelta

import pytest

from snowrail_chat.domain.cards import QrCode
from snowrail_chat.domain.payment_requests import qr_code
from snowrail_events import IntentCreateV1

from .support import CHAIN_ID, USDC, Conversation, Person, actions_of, rows_of


async def test_a_request_becomes_a_prepared_payment(talk: Conversation, alice: Person, bob: Person) -> None:
    card = await talk.ask(alice, '/request 25.5 usdc Dinner & "wine"')
    rows = rows_of(card)
    assert rows["Memo"] == "Dinner & wine"
    uri = f"ethereum:{USDC}@{CHAIN_ID}/transfer?address={alice.address}&uint256=25500000"
    assert rows["Wallet link"] == uri
    assert card["qr"]["text"] == uri
    assert len(card["qr"]["modules"]) == len(card["qr"]["modules"][0])
    opened = await talk.ask(bob, f"/requests open {rows['Link']}")
    assert opened["title"] == "@alice asks for 25.5 USDC"
    pay = actions_of(opened)["Pay"]
    assert (pay["command"], pay["draft"]) == (f"/pay {alice.address} 25.5 USDC", True)
    assert await talk.broker.probe.count(IntentCreateV1) == 0
    assert (await talk.ask(alice, f"/requests open {rows['Link']}"))["status"] == "same_account"
    assert (await talk.ask(bob, "/requests open aaaaaaaaaaaa"))["status"] == "request_unknown"
    assert rows["Link"] in (await talk.ask(alice, "/requests"))["rows"][0]["value"]
    assert (await talk.ask(bob, "/requests"))["title"] == "No open requests"


async def test_the_link_is_read_by_programs_and_browsers(talk: Conversation, alice: Person) -> None:
    card = await talk.ask(alice, "/request 3 <b>Rent</b>")
    code = rows_of(card)["Link"].rpartition("/")[2]
    http = talk.chat.http
    answer = await http.get(f"/requests/{code}")
    body = answer.json()
    assert (body["line"], body["amount"]) == (f"/pay {alice.address} 3 CRO", "3")
    assert body["wallet_uri"] == f"ethereum:{alice.address}@{CHAIN_ID}?value={3 * 10**18}"
    page = await http.get(f"/requests/{code}", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "&lt;b&gt;Rent&lt;/b&gt;" in page.text
    assert "<svg" in page.text
    assert (await http.get("/requests/aaaaaaaaaaaa")).status_code == 404
    talk.clock.advance(timedelta(days=8))
    assert (await http.get(f"/requests/{code}")).json()["code"] == "request_expired"
    assert (await talk.ask(alice, "/requests"))["rows"] == []


async def test_a_request_is_never_made_of_a_misread_currency(talk: Conversation, alice: Person) -> None:
    assert (await talk.ask(alice, "/request 10 UDSC"))["status"] == "currency_unknown"
    assert (await talk.ask(alice, "/request 0.0000001 USDC"))["status"] == "amount_too_precise"


@pytest.mark.parametrize("text", ["a", "ethereum:0x0@1?value=1" * 8])
def test_a_code_is_drawn_with_its_margin(text: str) -> None:
    code = qr_code(text)
    lines = code.to_text()
    assert all(len(line) == len(code.modules) + 4 for line in lines)
    assert lines[0] == "█" * (len(code.modules) + 4)
    assert QrCode("x", ("10", "01")).to_text() == ["██████", "██▄▀██", "██████"]
