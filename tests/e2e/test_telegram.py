"""The bot, end to end: linked once, the same commands, and buttons that send them."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from snowrail_local.stack import Stack
from snowrail_testkit import eventually
from snowrail_testkit.emulators.telegram import Sent, TelegramEmulator, running_telegram

from .journey import tell_all, tellers
from .people import Chain, NewPerson, Person

ANSWER_SECONDS = 40.0

pytestmark = pytest.mark.timeout(300)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def telegram(stack: Stack) -> AsyncIterator[TelegramEmulator]:
    """A Bot API, and a platform whose bot uses it by webhook."""
    async with running_telegram(chat_pause_seconds=0) as emulator:
        environment = {
            "SNOWRAIL_TELEGRAM_BOT_TOKEN": emulator.token,
            "SNOWRAIL_TELEGRAM_BOT_NAME": "snowrail_bot",
            "SNOWRAIL_TELEGRAM_API_URL": emulator.url,
            "SNOWRAIL_TELEGRAM_CHAT_PAUSE_SECONDS": "0.01",
            "SNOWRAIL_DELIVER_EVERY_SECONDS": "0.05",
        }
        await asyncio.to_thread(stack.restart, "notification", environment)

        async def announced() -> bool:
            return emulator.webhook is not None

        await eventually(announced)
        yield emulator
        await asyncio.to_thread(stack.restart, "notification")


class Reader:
    """A person at their Telegram client."""

    _numbers = count(4_242)

    def __init__(self, telegram: TelegramEmulator, person: Person) -> None:
        self._telegram = telegram
        self._person = person
        self._chat = next(Reader._numbers)
        self._seen: set[int] = set()

    async def link(self) -> None:
        """Connect the account by its link."""
        link: dict[str, Any] = await self._person.client.request("POST", "/api/telegram/link")
        await self.type(f"/start {link['url'].partition('start=')[2]}")
        await self.message("New channel connected")

    async def type(self, line: str) -> None:
        """Write to the bot."""
        self._seen = set(self._telegram.sent)
        assert await self._telegram.push(self._telegram.write(self._chat, line)) == 200

    async def press(self, message: Sent, label: str) -> str | None:
        """Press a button of a message. Returns what is shown to whoever pressed it, if anything."""
        self._seen = set(self._telegram.sent)
        update = self._telegram.press(self._chat, message, label)
        assert await self._telegram.push(update) == 200
        query = update["callback_query"]["id"]
        said = [item for item in self._telegram.acknowledged if item["callback_query_id"] == query]
        assert len(said) == 1, "every press is acknowledged once"
        return said[0].get("text")

    async def message(self, *words: str) -> Sent:
        """Return the first message since the last line that comes to hold all of these words."""

        async def find() -> Sent | None:
            return next((item for item in self._new() if _holds(item.text, words)), None)

        try:
            return await eventually(find, ANSWER_SECONDS)
        except TimeoutError as error:
            told = [item.text for item in self._new()]
            raise AssertionError(f"no message says {words}, but: {told}") from error

    async def speak(self, line: str, words: str) -> str:
        """Write a line and return the text of its answer."""
        await self.type(line)
        return (await self.message(words)).text

    def _new(self) -> list[Sent]:
        sent = list(self._telegram.sent.items())
        return [item for key, item in sent if item.chat_id == self._chat and key not in self._seen]


def _holds(text: str, words: tuple[str, ...]) -> bool:
    return all(word.lower() in text.lower() for word in words)


async def linked(telegram: TelegramEmulator, person: Person) -> Reader:
    """Return a person's Telegram client, connected."""
    reader = Reader(telegram, person)
    await reader.link()
    return reader


async def test_every_command_is_told_in_telegram(
    new_person: NewPerson, stack: Stack, chain: Chain, telegram: TelegramEmulator
) -> None:
    told = await tellers(new_person, stack, chain)
    readers = {tale: await linked(telegram, teller.person) for tale, teller in told.items()}
    speakers = {tale: reader.speak for tale, reader in readers.items()}
    assert await tell_all(told, speakers, from_device=False) == []


async def test_a_button_does_what_it_says(new_person: NewPerson, telegram: TelegramEmulator) -> None:
    alice = await new_person()
    reader = await linked(telegram, alice)
    await reader.type("/alert CRO above 1000")
    answer = await reader.message("CRO above 1000")
    shown = await alice.client.request("GET", "/api/notification/alerts")
    assert [item["status"] for item in shown] == ["armed"]
    assert await reader.press(answer, "Forget") is None

    async def forgotten() -> bool:
        return not await alice.client.request("GET", "/api/notification/alerts")

    await eventually(forgotten)


async def test_a_payment_is_cancelled_by_its_button(
    new_person: NewPerson, telegram: TelegramEmulator
) -> None:
    alice, bob = await asyncio.gather(new_person(cro=20), new_person(cro=20))
    reader = await linked(telegram, alice)
    await reader.type(f"/pay {bob.address} 5 CRO")
    card = await reader.message("Pay 5 CRO to")
    assert any("url" in button for button in card.buttons), "a wallet signs in the console"
    assert await reader.press(card, "Cancel") is None
    await reader.message("cancelled")
    received = await bob.pay(alice, "3", "CRO")
    await bob.sign(received)
    await reader.message("Payment received", "3 CRO arrived")
