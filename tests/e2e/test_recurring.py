"""Payments that repeat, on the real platform."""

import asyncio

import pytest

from .people import NewPerson
from .test_commands import until_row

pytestmark = pytest.mark.timeout(240)


async def test_a_payment_repeats_is_held_back_and_cancelled(
    new_person: NewPerson,
) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=50), new_person())
    await alice.say("/settings zone Europe/Berlin")
    for line in ("/recurring setup", bob.address, "2.50", "usdc", "every friday at 9am", "3"):
        reply = await alice.say(line)
        assert reply.card.kind == "dialogue", reply.text
    reply = await alice.say("skip")
    assert reply.card.row("Repeats").startswith("every week on friday at 09:00 Europe/Berlin")
    await alice.sign(reply)
    identifier = reply.card.row("Id")
    await until_row(alice, "/recurring list", "scheduled")
    assert (await alice.say(f"/recurring pause {identifier}")).card.status == "paused"
    assert (await alice.say(f"/recurring resume {identifier}")).card.status == "scheduled"
    await alice.say(f"/recurring cancel {identifier}")
    await until_row(alice, "/recurring list", "No payments")
    assert await bob.balance("USDC") == 0
