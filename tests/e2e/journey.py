"""Every command of the registry once as it is meant and once wrongly, for whatever carries lines to the chat.

The lines are grouped into tales. One person tells a whole tale, line by line, because later lines name what
earlier ones made; several people tell their tales at the same time.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from snowrail_chat.domain.registry import COMMANDS
from snowrail_client import SnowrailClient
from snowrail_local.stack import Stack

from .people import Chain, NewPerson, Person


class Speaker(Protocol):
    """Carries the lines of one person."""

    async def __call__(self, line: str, words: str) -> str:
        """Send a line and return its answer. Raises AssertionError unless it holds the words, in any case."""
        ...


@dataclass(frozen=True)
class Form:
    """A command in its two forms.

    Attributes:
        command: its name in the registry.
        line, words: as it is meant, and what the answer holds.
        wrong, refusal: as it is refused, and what the refusal holds.
        keep: names of what the answer shows, by the pattern that finds it; later lines may say `{name}`.
        elsewhere: what the answer holds where the line comes from no device of its user.
    """

    command: str
    line: str
    words: str
    wrong: str
    refusal: str
    keep: Mapping[str, str] | None = None
    elsewhere: str | None = None


_ID = r"^ +Id +(\w{8})$"

TALES: Mapping[str, tuple[Form, ...]] = {
    "payer": (
        Form("pay", "/pay {other} 1 CRO", "Pay 1 CRO to", "/pay {other} 1,50", "point", {"payment": _ID}),
        Form("status", "/status {payment}", "{payment}", "/status nope", "no id"),
        Form("preview", "/preview {payment}", "Pay 1 CRO to", "/preview 00000000", "no payment 00000000"),
        Form("confirm", "/confirm", "Pay 1 CRO to", "/confirm {payment} 0x12", "signature"),
        Form("deposit", "/deposit {payment} 1", "Deposit 1 CRO", "/deposit {payment} 5", "deposit less"),
        Form("withdraw", "/withdraw {payment}", "unspent deposit", "/withdraw 00000000", "no payment"),
        Form("cancel", "/cancel {payment}", "cancelled", "/cancel", "which payment"),
        Form("schedule list", "/schedule list", "No payments", "/schedule lst", "list"),
        Form("history", "/history 5", "No payments yet", "/history 99", "50"),
        Form("wallet", "/wallet", "CRO", "/wallet --all", "--all"),
    ),
    "planner": (
        Form(
            "recurring setup",
            "/recurring setup {other} 2 USDC every friday at 9am for 3 times",
            "every week on friday",
            "/recurring setup {other} 1 every month at 9:00",
            "day of the month",
            {"plan": _ID},
        ),
        Form("recurring list", "/recurring list", "payment", "/recurring lst", "list"),
        Form("recurring pause", "/recurring pause {plan}", "paused", "/recurring pause", "say <id>"),
        Form("recurring resume", "/recurring resume {plan}", "{plan}", "/recurring resume x", "no id"),
        Form("recurring cancel", "/recurring cancel {plan}", "cancelled", "/recurring cancel x", "no id"),
        Form(
            "template save",
            "/template save rent {other} 1 USDC",
            "Saved rent",
            "/template save rent {other} 1,000",
            "two ways",
        ),
        Form("template list", "/template list", "1 templates", "/template lst", "list"),
        Form("template run", "/template run rent", "Run of rent", "/template run nothing", "no template"),
        Form(
            "template delete",
            "/template delete rent",
            "Deleted rent",
            "/template delete rent",
            "no template",
        ),
    ),
    "shop": (
        Form(
            "contacts add",
            "/contacts add friend {other}",
            "Saved friend",
            "/contacts add friend x",
            "neither @name",
        ),
        Form("contacts", "/contacts", "1 contacts", "/contacts lst", "list"),
        Form(
            "contacts remove",
            "/contacts remove friend",
            "Removed friend",
            "/contacts remove friend",
            "no contact",
        ),
        Form(
            "request",
            "/request 25 USDC Dinner on Friday",
            "Dinner on Friday",
            "/request 1 UDSC",
            "UDSC",
            {"link": r"(https?://\S+)"},
        ),
        Form("requests", "/requests", "25 USDC", "/requests lst", "list"),
        Form("requests open", "/requests open {link}", "25 USDC", "/requests open nope", "link"),
        Form(
            "alert",
            "/alert CRO above 1000",
            "You will be told",
            "/alert CRO abov 1",
            "above",
            {"alert": r"/alerts delete (\w{8})"},
        ),
        Form("alerts", "/alerts", "CRO above 1000", "/alerts lst", "list"),
        Form("alerts delete", "/alerts delete {alert}", "Forgotten", "/alerts delete 00000000", "00000000"),
    ),
    "owner": (
        Form("notifications", "/notifications", "What you are told", "/notifications lst", "list"),
        Form(
            "notifications set",
            "/notifications set payment_sent in_app off",
            "in app off",
            "/notifications set all pigeon on",
            "pigeon",
        ),
        Form(
            "notifications quiet",
            "/notifications quiet 22:00 07:00",
            "22:00 to 07:00",
            "/notifications quiet 25:00 26:00",
            "no hours",
        ),
        Form(
            "settings zone",
            "/settings zone europe/vienna",
            "Europe/Vienna",
            "/settings zone Berln",
            "Europe/Berlin",
        ),
        Form("settings currency", "/settings currency usd", "USD", "/settings currency XYZ", "No prices"),
        Form("settings", "/settings", "Europe/Vienna", "/settings lst", "list"),
        Form(
            "device approve",
            "/device approve {first_device}",
            "is approved",
            "/device approve 1a2b3c4d",
            "whole id",
            elsewhere="another device",
        ),
        Form("device deny", "/device deny {second_device}", "is signed out", "/device deny nope", "no id"),
        Form("help", "/help recurring setup", "how often", "/help nothing", "nothing"),
    ),
}
"""Every command, by who tells it."""


def left_out() -> list[str]:
    """Return the commands of the registry that no tale has, and the forms that the registry lacks."""
    told = {form.command for tale in TALES.values() for form in tale}
    return sorted(told ^ {spec.name for spec in COMMANDS})


async def tell(tale: str, speak: Speaker, known: Mapping[str, str], from_device: bool) -> list[str]:
    """Play a tale. Returns what was not answered as its form says.

    Args:
        known: what its lines may name from the start.
        from_device: whether the lines come from a device that is signed in.
    """
    names = dict(known)
    wrong: list[str] = []

    async def say(line: str, words: str) -> str:
        try:
            return await speak(line.format(**names), words.format(**names))
        except (AssertionError, KeyError) as error:
            wrong.append(f"{line}: {error}")
            return ""

    for form in TALES[tale]:
        words = form.words if from_device or form.elsewhere is None else form.elsewhere
        text = await say(form.line, words)
        for name, pattern in (form.keep or {}).items():
            found = re.search(pattern, text, re.MULTILINE)
            if found is not None:
                names[name] = found[1]
        await say(form.wrong, form.refusal)
    return wrong


async def tell_all(
    tellers: Mapping[str, "Teller"], speakers: Mapping[str, Speaker], *, from_device: bool
) -> list[str]:
    """Play all tales at the same time. Returns what was not answered as its form says."""
    told = await asyncio.gather(
        *(tell(tale, speakers[tale], teller.known, from_device) for tale, teller in tellers.items())
    )
    return [complaint for wrong in told for complaint in wrong]


@dataclass(frozen=True)
class Teller:
    """Who tells a tale, and what its lines may name."""

    person: Person
    known: Mapping[str, str]


async def tellers(new_person: NewPerson, stack: Stack, chain: Chain) -> dict[str, Teller]:
    """Return a fresh person for each tale, with money and with sign-ins that wait to be decided about."""
    payer, planner, shop, owner, other = await asyncio.gather(
        new_person(cro=3), new_person(cro=1, usdc=5), new_person(), new_person(), new_person()
    )
    known = {"other": other.address}
    for name in ("first", "second"):
        async with SnowrailClient(stack.origin, device_label=name) as client:
            await client.sign_in(owner.wallet, chain.chain_id)
    devices = await owner.client.request("GET", "/api/accounts/user/devices")
    known |= {f"{device['label']}_device": device["id"] for device in devices}
    people = {"payer": payer, "planner": planner, "shop": shop, "owner": owner}
    return {tale: Teller(person, known) for tale, person in people.items()}
