"""Telegram's Bot API as far as a bot of ours uses it, with its documented limits.

One message a second to a chat and about thirty a second altogether (core.telegram.org/bots/faq); more
is answered with 429 and
`parameters.retry_after`. Updates are kept until a poll confirms them by a higher offset, or are pushed to a
webhook with its secret, again and again until it answers 2xx.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
from aiohttp import web

from snowrail_testkit.emulators.holding import Hold, Holding

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the name of a header
MAX_TEXT_CHARACTERS = 4_096
MAX_CALLBACK_BYTES = 64
_WEBHOOK_ATTEMPTS = 3


class BotMode(StrEnum):
    """What the API does with messages."""

    NORMAL = "normal"
    SERVER_ERROR = "server_error"
    REPLY_LOST = "reply_lost"
    """The message is sent; the connection breaks before the answer."""


@dataclass
class Sent:
    """A message of the bot as its reader sees it."""

    message_id: int
    chat_id: int
    text: str
    buttons: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    edits: int = 0


@dataclass
class TelegramEmulator:
    """The Bot API of one bot.

    Attributes:
        blocked: chats whose users have blocked the bot.
        sent: messages by id.
        limited: how often it answered 429.
        answer_after_seconds: how long a call that was done waits for its answer.
        hold: where messages are kept waiting for good.
    """

    token: str = "123456:emulated"  # noqa: S105 - of an emulator
    per_second: int = 30
    chat_pause_seconds: float = 1.0
    url: str = ""
    mode: BotMode = BotMode.NORMAL
    failures: int = 0
    blocked: set[int] = field(default_factory=set[int])
    sent: dict[int, Sent] = field(default_factory=dict[int, Sent])
    acknowledged: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    webhook: dict[str, Any] | None = None
    limited: int = 0
    answer_after_seconds: float = 0
    hold: Hold = field(default_factory=Hold)
    _updates: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    _next_update: int = 1_000
    _next_message: int = 1
    _last_to_chat: dict[int, float] = field(default_factory=dict[int, float])
    _recent: deque[float] = field(default_factory=deque[float])
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, person: int, text: str, name: str = "alice") -> dict[str, Any]:
        """Have a person write to the bot; returns the update."""
        sender = {"id": person, "is_bot": False, "first_name": name.capitalize(), "username": name}
        message = {
            "message_id": self._message_id(),
            "date": int(time.time()),
            "chat": {"id": person, "type": "private", "username": name},
            "from": sender,
            "text": text,
        }
        return self._update({"message": message})

    def press(self, person: int, message: Sent, label: str) -> dict[str, Any]:
        """Have a person press a button of a message; returns the update. Raises StopIteration without one."""
        button = next(item for item in message.buttons if item["text"] == label)
        query = {
            "id": str(self._message_id()),
            "from": {"id": person, "is_bot": False, "first_name": "Alice"},
            "chat_instance": "1",
            "data": button["callback_data"],
        }
        return self._update({"callback_query": query})

    async def push(self, update: dict[str, Any]) -> int:
        """Deliver an update to the webhook as the API does; returns the last answer's status."""
        assert self.webhook is not None, "no webhook was set"
        headers = {SECRET_HEADER: self.webhook.get("secret_token", "")}
        status = 0
        async with aiohttp.ClientSession() as http:
            for _ in range(_WEBHOOK_ATTEMPTS):
                async with http.post(self.webhook["url"], json=update, headers=headers) as answer:
                    status = answer.status
                if 200 <= status < 300:
                    break
        return status

    async def call(self, request: web.Request) -> web.StreamResponse:
        """Answer a method."""
        if request.match_info["token"] != self.token:
            return _error(401, "Unauthorized")
        parameters: dict[str, Any] = await request.json()
        handlers: dict[str, Callable[[dict[str, Any]], web.Response]] = {
            "sendMessage": self._send,
            "editMessageText": self._edit,
            "answerCallbackQuery": self._acknowledge,
            "setWebhook": self._set_webhook,
        }
        method = request.match_info["method"]
        if method == "getUpdates":
            return await self._get_updates(parameters)
        if method not in handlers:
            return _error(404, "Not Found")
        is_message = method in ("sendMessage", "editMessageText")
        mode = self._take_mode() if is_message else BotMode.NORMAL
        if mode is BotMode.SERVER_ERROR:
            return web.Response(status=502, text="Bad Gateway")
        if is_message:
            await self.hold.reach(Holding.BEFORE_TAKING)
        answer = handlers[method](parameters)
        if is_message:
            await self.hold.reach(Holding.AFTER_TAKING)
        await asyncio.sleep(self.answer_after_seconds)
        if mode is BotMode.REPLY_LOST:
            assert request.transport is not None, "the request is being answered"
            request.transport.abort()
            await asyncio.sleep(0)
        return answer

    def _take_mode(self) -> BotMode:
        mode = self.mode
        if mode is not BotMode.NORMAL:
            self.failures -= 1
            if self.failures <= 0:
                self.mode = BotMode.NORMAL
        return mode

    def _send(self, parameters: dict[str, Any]) -> web.Response:
        chat = int(parameters["chat_id"])
        refusal = self._refusal(chat, parameters, limited=True)
        if refusal is not None:
            return refusal
        buttons = _buttons(parameters)
        message = Sent(self._message_id(), chat, parameters["text"], buttons)
        self.sent[message.message_id] = message
        return _result({"message_id": message.message_id, "chat": {"id": chat, "type": "private"}, "date": 0})

    def _edit(self, parameters: dict[str, Any]) -> web.Response:
        chat = int(parameters["chat_id"])
        refusal = self._refusal(chat, parameters, limited=False)
        if refusal is not None:
            return refusal
        message = self.sent.get(int(parameters["message_id"]))
        if message is None:
            return _error(400, "Bad Request: message to edit not found")
        buttons = _buttons(parameters)
        if (message.text, message.buttons) == (parameters["text"], buttons):
            return _error(
                400, "Bad Request: message is not modified: specified new message content is the same"
            )
        message.text, message.buttons = parameters["text"], buttons
        message.edits += 1
        return _result({"message_id": message.message_id})

    def _refusal(self, chat: int, parameters: dict[str, Any], limited: bool) -> web.Response | None:
        if chat in self.blocked:
            return _error(403, "Forbidden: bot was blocked by the user")
        text = parameters.get("text", "")
        if not text or len(text) > MAX_TEXT_CHARACTERS:
            return _error(400, "Bad Request: message text is empty or too long")
        if any(
            len(item.get("callback_data", "").encode()) > MAX_CALLBACK_BYTES for item in _buttons(parameters)
        ):
            return _error(400, "Bad Request: BUTTON_DATA_INVALID")
        if not limited:
            return None
        now = time.monotonic()
        while self._recent and self._recent[0] < now - 1:
            self._recent.popleft()
        wait = self._last_to_chat.get(chat, now - self.chat_pause_seconds) + self.chat_pause_seconds - now
        if len(self._recent) >= self.per_second:
            wait = max(wait, self._recent[0] + 1 - now)
        if wait > 0:
            self.limited += 1
            return _error(429, "Too Many Requests", {"retry_after": math.ceil(wait)})
        self._last_to_chat[chat] = now
        self._recent.append(now)
        return None

    def _acknowledge(self, parameters: dict[str, Any]) -> web.Response:
        self.acknowledged.append(parameters)
        return _result(True)

    def _set_webhook(self, parameters: dict[str, Any]) -> web.Response:
        self.webhook = parameters
        return _result(True)

    async def _get_updates(self, parameters: dict[str, Any]) -> web.Response:
        offset = parameters.get("offset") or 0
        for update_id in [item for item in self._updates if item < offset]:
            del self._updates[update_id]
        if not self._updates:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), parameters.get("timeout") or 0.001)
            except TimeoutError:
                return _result([])
        return _result(list(self._updates.values())[: parameters.get("limit", 100)])

    def _update(self, fields: dict[str, Any]) -> dict[str, Any]:
        update = {"update_id": self._next_update, **fields}
        self._updates[self._next_update] = update
        self._next_update += 1
        self._arrived.set()
        return update

    def _message_id(self) -> int:
        self._next_message += 1
        return self._next_message


def _buttons(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    rows = (parameters.get("reply_markup") or {}).get("inline_keyboard", [])
    return [button for row in rows for button in row]


def _result(value: Any) -> web.Response:
    return web.json_response({"ok": True, "result": value})


def _error(code: int, description: str, parameters: dict[str, Any] | None = None) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    if parameters is not None:
        body["parameters"] = parameters
    return web.json_response(body, status=code)


@asynccontextmanager
async def running_telegram(**options: Any) -> AsyncGenerator[TelegramEmulator]:
    """Run a Bot API on a free port until the block ends."""
    emulator = TelegramEmulator(**options)
    app = web.Application()
    app.router.add_post("/bot{token}/{method}", emulator.call)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        emulator.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield emulator
    finally:
        await runner.cleanup()
