"""Every command of the registry on the real platform, with its refusals."""

import asyncio
from typing import Any

import aiohttp

from snowrail_client import Reply
from snowrail_client.cards import parse_card
from snowrail_local.stack import Stack

from .journey import Speaker, left_out, tell_all, tellers
from .people import Chain, NewPerson, Person

ATTEMPTS = 40
PAUSE_SECONDS = 0.5

ANSWERS = [
    ("/help", "/pay"),
    ("/help recurring setup", "how often"),
    ("/status", "open payment"),
    ("/wallet", "CRO"),
    ("/history 5", "No payments yet"),
    ("/contacts", "No contacts yet"),
    ("/schedule list", "No payments"),
    ("/recurring list", "No payments"),
    ("/template list", "No templates"),
    ("/requests", "No open requests"),
    ("/alerts", "No price alerts"),
    ("/notifications", "What you are told"),
    ("/settings", "UTC"),
    ("/settings zone europe/berlin", "Europe/Berlin"),
    ("/settings currency usd", "USD"),
    ("/confirm", "No payment waits"),
    ("/recurring setup", "Who is paid?"),
    ("/cancel", "You left"),
]
REFUSALS = [
    ("/cancel", "which payment"),
    ("/cancel 00000000", "00000000"),
    ("/preview 00000000", "00000000"),
    ("/deposit 00000000 1", "00000000"),
    ("/withdraw 00000000", "00000000"),
    ("/recurring pause 00000000", "00000000"),
    ("/recurring resume 00000000", "00000000"),
    ("/recurring cancel nope", "no id"),
    ("/recurring setup @nobody_here 1 every day at 9:00", "no user @nobody_here"),
    ("/recurring setup @nobody_here 1 every month at 9:00", "day of the month"),
    ("/schedule lst", "list"),
    ("/pay {other} 1 at yesterday 9am", "not understood"),
    ("/pay {other} 1 at 2020-01-01 9:00", "past"),
    ("/pay {other} 1 at tomorrow 9", "9am or 9pm"),
    ("/pay {other} 1 at 12/25/2030 9am", "year-month-day"),
    ("/pay {other} 1 if CRO <= 1", "<="),
    ("/pay {other} 1 if gas < 5", "gwei"),
    ("/pay {other} 1,50", "1.50 with a point"),
    ("/template run nothing", "no template"),
    ("/template delete nothing", "no template"),
    ("/template save x {other} 1,000", "two ways"),
    ("/contacts remove nobody", "no contact"),
    ("/request 1 UDSC", "UDSC"),
    ("/requests open aaaaaaaaaaaa", "no such payment request"),
    ("/alert CRO abov 1", "above"),
    ("/alerts delete 00000000", "00000000"),
    ("/notifications set all pigeon on", "pigeon"),
    ("/notifications quiet 25:00 26:00", "no hours"),
    ("/settings zone Berln", "Europe/Berlin"),
    ("/settings currency XYZ", "No prices"),
    ("/device approve 1a2b3c4d", "whole id"),
    ("/device deny nope", "no id"),
]


async def ask_all(person: Person, cases: list[tuple[str, str]], **names: str) -> list[str]:
    """Say lines one after the other; return those whose answer lacks its words."""
    wrong: list[str] = []
    for line, words in cases:
        reply = await person.say(line.format(**names))
        if words.lower() not in reply.text.lower():
            wrong.append(f"{line}: {reply.text}")
    return wrong


async def test_every_command_answers_and_refuses(new_person: NewPerson) -> None:
    reader, typist = await asyncio.gather(new_person(), new_person())
    wrong = await asyncio.gather(ask_all(reader, ANSWERS), ask_all(typist, REFUSALS, other=reader.address))
    assert wrong == [[], []]


def test_no_command_is_left_out() -> None:
    assert left_out() == []


async def test_every_command_is_told_in_chat(new_person: NewPerson, stack: Stack, chain: Chain) -> None:
    told = await tellers(new_person, stack, chain)

    def speaker(person: Person) -> Speaker:
        async def speak(line: str, words: str) -> str:
            reply = await person.say(line)
            assert words.lower() in reply.text.lower(), f"{line}: {reply.text}"
            return reply.text

        return speak

    speakers = {tale: speaker(teller.person) for tale, teller in told.items()}
    assert await tell_all(told, speakers, from_device=True) == []


async def until_row(person: Person, line: str, words: str) -> Reply:
    """Repeat a line, rarely enough for the limit on messages, until its answer holds words."""
    for _ in range(ATTEMPTS):
        reply = await person.say(line)
        if words in reply.text:
            return reply
        await asyncio.sleep(PAUSE_SECONDS)
    raise AssertionError(f"{line} never showed {words!r}")


async def test_a_scheduled_payment_is_listed_and_cancelled(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=50), new_person())
    await alice.say("/settings zone Asia/Tokyo")
    reply = await alice.say(f"/pay {bob.address} 5 USDC at tomorrow 9am")
    assert reply.card.row("When").endswith("09:00:00 Asia/Tokyo")
    await alice.sign(reply)
    listed = await until_row(alice, "/schedule list", "scheduled")
    identifier = reply.card.row("Id")
    assert f"{identifier}" in listed.text
    await alice.say(f"/cancel {identifier}")
    await until_row(alice, "/schedule list", "No payments")
    assert await bob.balance("USDC") == 0


async def test_a_payment_in_a_moment_is_made_then(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=50), new_person())
    reply = await alice.say(f"/pay {bob.address} 5 USDC if gas < 1000000 gwei")
    intent = await alice.created_intent(reply)
    assert reply.card.row("Condition") == "if gas < 1000000 gwei"
    await alice.sign(reply)
    await alice.until_final(intent["intent_id"])
    assert await bob.balance("USDC") == 5 * 10**6


async def test_a_template_runs_to_its_end_with_one_approval(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=9, usdc=50), new_person())
    rows = "; ".join(f"{bob.address} {amount} USDC" for amount in (5, 6, 7))
    await alice.say(f"/template save payroll {rows}; {bob.address} 2 CRO")
    run = await alice.say("/template run payroll")

    async def shown(words: str) -> Any:
        event = await alice.client.connection.wait_for(
            "chat:message",
            lambda item: item.data["card"]["card_id"] == run.card.card_id and words in str(item.data["card"]),
            timeout_seconds=60,
        )
        return event.data

    actions = parse_card((await shown("Sign 4"))["card"]).signing_actions
    assert [action.label for action in actions] == ["Approve USDC", "Sign 1", "Sign 2", "Sign 3", "Sign 4"]
    assert actions[0].sign is not None, "an approval is signed"
    assert int(actions[0].sign["transaction"]["data"][-64:], 16) == 18 * 10**6, "never more than what is open"
    for action in actions:
        await alice.client.perform(action, alice.wallet, alice.rpc)
    assert (await shown("'done': 4"))["card"]["status"] == "final"
    assert (await bob.balance("USDC"), await bob.balance("CRO")) == (18 * 10**6, 2 * 10**18)
    again = await alice.say("/template run payroll")
    assert again.card.card_id != run.card.card_id


async def test_a_request_is_opened_and_paid(new_person: NewPerson, stack: Stack) -> None:
    shop, guest = await asyncio.gather(new_person(), new_person(cro=9))
    asked = await shop.say("/request 2 CRO Lunch")
    link = asked.card.row("Link")
    async with aiohttp.ClientSession() as http:
        async with http.get(link, headers={"Accept": "text/html"}) as page:
            assert page.status == 200
            assert "Lunch" in await page.text()
        async with http.get(link) as answer:
            line = (await answer.json())["line"]
    assert link.startswith(stack.origin)
    opened = await guest.say(f"/requests open {link}")
    assert opened.card.action("Pay").command == line == f"/pay {shop.address} 2 CRO"
    reply = await guest.say(line)
    intent = await guest.created_intent(reply)
    await guest.sign(reply)
    await guest.until_final(intent["intent_id"])
    assert await shop.balance("CRO") == 2 * 10**18


async def test_contacts_are_paid_by_name(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=3), new_person())
    await until_row(alice, f"/contacts add friend @{bob.handle}", "Saved")
    await alice.say(f'/contacts add "Corner shop" {bob.address}')
    reply = await alice.say('/pay "corner SHOP" 1')
    assert reply.card.row("Address") == bob.address
    await alice.say('/contacts remove "corner shop"')
    assert "no contact" in (await alice.say('/pay "corner shop" 1')).text
