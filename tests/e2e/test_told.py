"""Price alerts and notification preferences: asked for in chat, kept by their owner."""

import pytest

from snowrail_client import Reply
from snowrail_testkit import eventually

from .people import NewPerson, Person

pytestmark = pytest.mark.timeout(240)


async def answered(person: Person, line: str) -> Reply:
    """Return the answer that the owner of what the line asks for led to."""
    reply = await person.say(line)
    assert reply.card.status != "working", f"nobody answered {line}"
    return reply


async def test_an_alert_is_set_and_forgotten(new_person: NewPerson) -> None:
    alice = await new_person()
    reply = await answered(alice, "/alert CRO above 1000")
    assert reply.card.title == "You will be told: CRO above 1000 USD"
    forget = reply.card.action("Forget").command
    assert "CRO above 1000" in (await alice.say("/alerts")).text
    assert (await answered(alice, forget)).card.status == "deleted"
    assert "No price alerts" in (await alice.say("/alerts")).text


async def test_preferences_are_changed(new_person: NewPerson) -> None:
    alice = await new_person()
    reply = await answered(alice, "/notifications set payment_sent in_app off")
    assert "in app off" in reply.card.row("payment sent")
    reply = await answered(alice, "/notifications quiet 22:00 07:00")
    assert reply.card.row("Quiet hours") == "22:00 to 07:00, UTC"
    reply = await answered(alice, "/settings zone Europe/Vienna")
    assert reply.card.row("Time zone") == "Europe/Vienna"
    assert (await alice.client.request("GET", "/api/user/profile"))["time_zone"] == "Europe/Vienna"

    async def followed() -> bool:
        hours = await alice.client.request("GET", "/api/notification/quiet-hours")
        return hours["time_zone"] == "Europe/Vienna"

    await eventually(followed)
    assert (await alice.say("/notifications")).card.row("Quiet hours") == "22:00 to 07:00, Europe/Vienna"
    reply = await answered(alice, "/notifications quiet off")
    assert reply.card.row("Quiet hours") == "never"
