"""Completion by the platform's own autocomplete."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import aiohttp
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from snowrail_client.client import SnowrailClient
from snowrail_client.errors import SnowrailError
from snowrail_client.terminal.output import printable

_PAUSE_SECONDS = 0.08
_MAX_CHARACTERS = 2_000


class PlatformCompleter(Completer):
    """Offers what the chat offers for the line up to the cursor. Without an answer it offers nothing."""

    def __init__(self, client: SnowrailClient) -> None:
        self._client = client

    def get_completions(
        self,
        document: Document,  # noqa: ARG002 - the interface's
        complete_event: CompleteEvent,  # noqa: ARG002
    ) -> Iterable[Completion]:
        """Return nothing: completions come from the network, by `get_completions_async`."""
        return ()

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """Yield what can stand at the cursor."""
        text = document.text_before_cursor
        if not text.startswith("/") or len(text) > _MAX_CHARACTERS:
            return
        if not complete_event.completion_requested:
            await asyncio.sleep(_PAUSE_SECONDS)  # a further key cancels this one before it costs a request
        try:
            answer: Any = await self._client.request("GET", "/api/chat/autocomplete", query={"text": text})
        except (SnowrailError, aiohttp.ClientError, TimeoutError):
            return
        for item in answer["items"]:
            insert = printable(item["insert"])
            yield Completion(
                insert, start_position=answer["start"] - len(text), display_meta=printable(item["detail"])
            )
