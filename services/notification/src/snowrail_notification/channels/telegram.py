"""Telegram's Bot API (core.telegram.org/bots/api), as far as it is used."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import orjson

from snowrail_notification.channels.sending import Outgoing, Result, not_now, unknown
from snowrail_notification.domain.deliveries import Ended

BOT_API_URL = "https://api.telegram.org"
MAX_TEXT_CHARACTERS = 4_096
_MAX_ANSWER_BYTES = 4_000_000
_NOT_MODIFIED = "message is not modified"


class BotApiError(Exception):
    """The Bot API answered that it did not do what was asked.

    Attributes:
        code: its error code, that of HTTP.
        retry_after: how long it wants to be left alone, of a 429.
    """

    def __init__(self, code: int, description: str, retry_after: timedelta | None) -> None:
        super().__init__(f"{code} {description}")
        self.code = code
        self.description = description
        self.retry_after = retry_after


class BotApi:
    """Calls methods of the Bot API. The token is part of the address: errors never repeat it."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str, timeout_seconds: float) -> None:
        self._http = http
        self._base = f"{url.rstrip('/')}/bot{token}"
        self._timeout_seconds = timeout_seconds

    async def call(self, method: str, parameters: Mapping[str, Any], wait_seconds: float = 0) -> Any:
        """Return the result of a method; parameters that are None are left out.

        Args:
            wait_seconds: how long the method itself waits before it answers.

        Raises:
            BotApiError: it was refused.
            aiohttp.ClientError, OSError, TimeoutError: nothing is known but that there was no answer.
        """
        body = orjson.dumps({name: value for name, value in parameters.items() if value is not None})
        async with (
            asyncio.timeout(self._timeout_seconds + wait_seconds),
            self._http.post(
                f"{self._base}/{method}",
                data=body,
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._timeout_seconds + wait_seconds),
            ) as answer,
        ):
            raw = bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                raw += chunk
                if len(raw) > _MAX_ANSWER_BYTES:
                    raise aiohttp.ClientPayloadError("the answer is too long")
        return _result(answer.status, bytes(raw))


def _result(status: int, raw: bytes) -> Any:
    try:
        answer: dict[str, Any] = orjson.loads(raw)
        if answer["ok"] is True:
            return answer["result"]
        seconds = answer.get("parameters", {}).get("retry_after")
        retry_after = timedelta(seconds=min(int(seconds), 86_400)) if seconds is not None else None
        raise BotApiError(int(answer["error_code"]), str(answer.get("description", "")), retry_after)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BotApiError(status, "the answer cannot be read", None) from error


@dataclass(frozen=True, slots=True)
class TelegramSender:
    """Sends messages with buttons, and edits those that were sent before."""

    api: BotApi
    origin: str

    async def send(self, outgoing: Outgoing) -> Result:
        """Hand a message over, or put its newer text in the place of the one that is there."""
        content: dict[str, Any] = {
            "chat_id": int(outgoing.address),
            "text": text_of(outgoing.content),
            "reply_markup": keyboard(outgoing, self.origin),
            "link_preview_options": {"is_disabled": True},
        }
        reference = outgoing.provider_reference
        try:
            if reference is None:
                sent = await self.api.call("sendMessage", content)
                return Result(Ended.ACCEPTED, reference=str(sent["message_id"]))
            await self.api.call("editMessageText", {**content, "message_id": int(reference)})
            return Result(Ended.ACCEPTED, reference=reference)
        except BotApiError as error:
            return _read(error, reference)
        except aiohttp.ClientConnectorError as error:
            return not_now(_without_address(error))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # What is edited twice reads the same.
            return unknown(type(error).__name__) if reference is None else not_now(type(error).__name__)


def _read(error: BotApiError, reference: str | None) -> Result:
    if error.code == 429:
        return Result(Ended.NOT_NOW, str(error), retry_after=error.retry_after, all_wait=True)
    if error.code == 403:
        return Result(Ended.GONE, str(error))
    if error.code >= 500:
        return unknown(str(error)) if reference is None else not_now(str(error))
    if reference is not None and _NOT_MODIFIED in error.description:
        return Result(Ended.ACCEPTED, reference=reference)
    return Result(Ended.REFUSED, str(error)[:500])


def text_of(content: dict[str, Any]) -> str:
    """Return the text of a notification or a card."""
    text: str = content.get("text") or f"{content['title']}\n{content['message']}"
    return text if len(text) <= MAX_TEXT_CHARACTERS else text[: MAX_TEXT_CHARACTERS - 1] + "…"


def keyboard(outgoing: Outgoing, origin: str) -> dict[str, Any] | None:
    """Return the buttons of a message. A button names its message, revision and place, never a command:
    64 bytes are too few, and a button of an older card must not do what the newer one says.

    What needs the wallet opens the console.
    """
    rows: list[list[dict[str, str]]] = []
    for index, action in enumerate(outgoing.content.get("actions", [])):
        if action.get("draft"):
            continue
        button = {"text": action["label"]}
        if action.get("sign"):
            button["url"] = origin
        else:
            button["callback_data"] = f"{outgoing.delivery_id.hex}:{outgoing.revision}:{index}"
        rows.append([button])
    return {"inline_keyboard": rows} if rows else None


def _without_address(error: aiohttp.ClientConnectorError) -> str:
    return f"no connection: {error.os_error.strerror or type(error).__name__}"
