"""The bot, end to end: linked once, the same commands, and buttons that send them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from snowrail_local.stack import Stack
from snowrail_testkit import eventually
from snowrail_testkit.emulators.telegram import Sent, TelegramEmulator, running_telegram

from .people import NewPerson

ALICE = 4_242

pytestmark = pytest.mark.timeout(180)


@pytest_asyncio.fixture(loop_scope="session")
async def telegram(stack: Stack) -> AsyncIterator[TelegramEmulator]:
    """A Bot API, and a platform whose bot uses it by webhook."""
    async with running_telegram() as emulator:
        environment = {
            "SNOWRAIL_TELEGRAM_BOT_TOKEN": emulator.token,
            "SNOWRAIL_TELEGRAM_BOT_NAME": "snowrail_bot",
            "SNOWRAIL_TELEGRAM_API_URL": emulator.url,
        }
        await asyncio.to_thread(stack.restart, "notification", environment)
        yield emulator
        await asyncio.to_thread(stack.restart, "notification")


async def message(telegram: TelegramEmulator, *words: str) -> Sent:
    """Return the first message to Alice with all of these words, waiting for it."""

    async def find() -> Sent | None:
        return next(
            (item for item in telegram.sent.values() if all(word in item.text for word in words)), None
        )

    return await eventually(find)


async def test_the_bot_answers_and_shows_payments(new_person: NewPerson, telegram: TelegramEmulator) -> None:
    alice, bob = await asyncio.gather(new_person(cro=20), new_person(cro=20))

    async def announced() -> bool:
        return telegram.webhook is not None

    await eventually(announced)
    link: dict[str, Any] = await alice.client.request("POST", "/api/telegram/link")
    token = link["url"].partition("start=")[2]
    assert await telegram.push(telegram.write(ALICE, f"/start {token}")) == 200
    await message(telegram, "New channel connected")

    assert await telegram.push(telegram.write(ALICE, "/alert CRO above 1000")) == 200
    answer = await message(telegram, "CRO above 1000")
    shown = await alice.client.request("GET", "/api/notification/alerts")
    assert [item["status"] for item in shown] == ["armed"]
    assert await telegram.push(telegram.press(ALICE, answer, "Forget")) == 200

    async def forgotten() -> bool:
        return not await alice.client.request("GET", "/api/notification/alerts")

    await eventually(forgotten)

    assert await telegram.push(telegram.write(ALICE, f"/pay @{bob.handle} 5 CRO")) == 200
    card = await message(telegram, "5 CRO", bob.handle)
    assert any("url" in button for button in card.buttons), "a wallet signs in the console"
