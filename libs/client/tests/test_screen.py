"""The conversation on a pseudo-terminal, with a stand-in for the platform."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from snowrail_testkit.terminal import PseudoTerminal, pseudo_terminal

from .conftest import DEV_KEY
from .fake_platform import FakePlatform, running_platform

pytestmark = pytest.mark.timeout(240)

MODULE = "snowrail_client.terminal.main"
TYPED_DATA = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
        "Order": [{"name": "amount", "type": "uint256"}],
    },
    "primaryType": "Order",
    "domain": {"name": "Snowrail", "chainId": 31337},
    "message": {"amount": 5000000},
}


class PayingPlatform(FakePlatform):
    """Answers any line with a payment that is signed, and a signature with its way to the end."""

    async def reply(self, frame: dict[str, Any]) -> None:
        message_id = f"m-{frame['id']}"
        await self.send({"type": "chat:accepted", "id": frame["id"], "message_id": message_id})
        if "/confirm 1 0x" in frame["text"]:
            for version, status in enumerate(("pending", "confirmed", "final"), 2):
                await self._card(message_id, version, status, [])
        else:
            sign = {"kind": "typed_data", "typed_data": TYPED_DATA}
            action = {"label": "Sign", "command": "/confirm 1", "style": "primary", "sign": sign}
            await self._card(message_id, 1, "awaiting_authorisation", [action])

    async def _card(self, message_id: str, version: int, status: str, actions: list[Any]) -> None:
        card = {"card_id": "c", "kind": "payment", "title": "Pay 5 USDC", "status": status}
        card |= {"version": version, "rows": [], "actions": actions}
        text = f"Pay 5 USDC [{status}]\n  \x1b[2JVersion {version}"
        data = {"message_id": "a", "in_reply_to": message_id, "card": card, "text": text}
        await self.emit("chat:message", data)


@pytest_asyncio.fixture(loop_scope="session")
async def paying() -> AsyncIterator[PayingPlatform]:
    """The stand-in, with a conversation before and something to complete."""
    async with running_platform(PayingPlatform()) as platform:
        assert isinstance(platform, PayingPlatform)
        before = {"message_id": "b", "card": None, "text": "/hello before", "in_reply_to": None}
        platform.answers["/api/chat/messages"] = (200, {"items": [before], "next": None}, {})
        offered = {"start": 0, "usage": None, "items": [{"insert": "/settings zone", "detail": "offered"}]}
        platform.answers["/api/chat/autocomplete"] = (200, offered, {})
        yield platform


def arguments(platform: FakePlatform, history: Path) -> list[str]:
    return ["chat", "--origin", platform.origin, "--chain-id", "31337", "--history", str(history)]


async def asked(shown: PseudoTerminal, start: int = 0) -> int:
    return await shown.until("Type yes to sign", start)


async def test_a_payment_is_signed_once_and_changes_in_place(paying: PayingPlatform, tmp_path: Path) -> None:
    history = tmp_path / "state" / "history"
    async with pseudo_terminal(
        MODULE, arguments(paying, history), {"SNOWRAIL_PRIVATE_KEY": DEV_KEY}
    ) as shown:
        at = await shown.until("/hello before")
        at = await shown.until("snowrail>", at)
        shown.press("/set")
        await shown.until("offered", at)
        shown.press("\x15/pay @bob 5 USDC\r")
        at = await shown.until("amount     5000000", at)
        at = await asked(shown, at)
        shown.press("yes\r")
        await shown.until("Pay 5 USDC [final]", at)
        signed = [frame for frame in paying.frames if frame.get("text", "").startswith("/confirm 1 0x")]
        assert len(signed) == 1
        assert len(signed[0]["text"]) == len("/confirm 1 0x") + 130
        shown.press("/quit\r")
        assert await shown.end() == 0
    assert "[2JVersion" in shown.text
    assert DEV_KEY[2:] not in shown.text
    lines = history.read_text()
    assert "+/pay @bob 5 USDC" in lines
    assert "+yes" not in lines
    assert history.stat().st_mode & 0o077 == 0


async def test_what_is_not_agreed_to_is_asked_again_only_when_wanted(
    paying: PayingPlatform, tmp_path: Path
) -> None:
    command = [*arguments(paying, tmp_path / "none"), "--no-history"]
    async with pseudo_terminal(MODULE, command, {"SNOWRAIL_PRIVATE_KEY": DEV_KEY}) as shown:
        at = await shown.until("snowrail>")
        shown.press("/pay @bob 5 USDC\r")
        at = await asked(shown, at)
        shown.press("y\r")
        at = await shown.until("Not signed", at)
        at = await shown.until("snowrail>", at)
        shown.press("/status\r")
        await shown.until("Pay 5 USDC [awaiting", at)
        at = len(shown.text)
        shown.press("/confirm\r")
        at = await asked(shown, at)
        shown.press("\x03")
        await shown.until("snowrail>", at)
        shown.press("\x04")
        assert await shown.end() == 0
    assert not [frame for frame in paying.frames if frame.get("text", "").startswith("/confirm 1 0x")]
    assert not (tmp_path / "none").exists()


async def test_without_a_platform_it_says_so(tmp_path: Path) -> None:
    command = ["chat", "--origin", "http://127.0.0.1:1", "--history", str(tmp_path / "history")]
    async with pseudo_terminal(MODULE, command, {"SNOWRAIL_PRIVATE_KEY": DEV_KEY}) as shown:
        await shown.until("cannot be reached at http://127.0.0.1:1")
        assert await shown.end() == 1
