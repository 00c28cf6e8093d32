"""Reads of the feed stream: what a user missed (batched Direct Get, ADR-31), how far the stream reaches."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from snowrail_gateway.positions import incarnation_of
from snowrail_gateway.recent import Entry
from snowrail_kit.bus import FEED_STREAM, PUBLISH_ERRORS, Bus

_DIRECT_GET = f"$JS.API.DIRECT.GET.{FEED_STREAM}"
_STREAM_INFO = f"$JS.API.STREAM.INFO.{FEED_STREAM}"
_ANSWER_TIMEOUT_SECONDS = 5.0
_PAGE_BYTES = 1_048_576
_MAX_CONCURRENT_READS = 32
_END_OF_BATCH = "204"
_NOT_FOUND = "404"


class HistoryUnavailable(Exception):
    """The stream cannot be read now."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far the stream reaches.

    Attributes:
        first_sequence: of the oldest message still held; everything before it is gone.
        last_sequence: of the newest message.
        messages_per_user: how many messages the stream keeps for each user; None without such a limit.
    """

    incarnation: str
    first_sequence: int
    last_sequence: int
    messages_per_user: int | None


@dataclass(frozen=True, slots=True)
class StoredPage:
    """Some of a user's messages, oldest first, and how many more there are."""

    entries: Sequence[Entry]
    remaining: int


@dataclass(slots=True)
class _Answer:
    """The messages of one batch as they arrive."""

    user_id: str
    limit: int
    done: "asyncio.Future[StoredPage]"
    entries: list[Entry] = field(default_factory=list[Entry])

    def add(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if self.done.done():
            return
        if status == _NOT_FOUND:
            self.done.set_result(StoredPage((), 0))
        elif status is not None and status != _END_OF_BATCH:
            self.done.set_exception(HistoryUnavailable(f"the broker answered {status}"))
        elif int(headers.get("Nats-Last-Sequence", "-1")) != self._last or len(self.entries) > self.limit:
            self.done.set_exception(HistoryUnavailable("a message of the batch was lost on the way"))
        elif status == _END_OF_BATCH:
            self.done.set_result(StoredPage(self.entries, int(headers["Nats-Num-Pending"])))
        else:
            self.entries.append(Entry(int(headers["Nats-Sequence"]), self.user_id, message.data))

    @property
    def _last(self) -> int:
        return self.entries[-1].sequence if self.entries else 0


class History:
    """Reads the feed stream over the gateway's own connection. A bounded number of reads at a time."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._answers: dict[str, _Answer] = {}
        self._next_token = 0
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._reading = asyncio.Semaphore(_MAX_CONCURRENT_READS)
        self._asking: asyncio.Task[StreamState] | None = None
        self._asked_next: asyncio.Task[StreamState] | None = None

    async def start(self) -> None:
        """Open the inbox that answers arrive in."""
        self._inbox = self._bus.client.new_inbox()
        self._subscription = await self._bus.client.subscribe(f"{self._inbox}.*", cb=self._on_answer)

    async def stop(self) -> None:
        """Close the inbox."""
        if self._subscription is not None and self._bus.is_connected:
            await self._subscription.unsubscribe()

    async def read(self, user_id: str, first_sequence: int, limit: int) -> StoredPage:
        """Return a user's first messages at or above a sequence: at most `limit`, and about 1 MiB.

        Raises:
            HistoryUnavailable: there was no complete answer within five seconds.
        """
        async with self._reading:
            self._next_token += 1
            token = str(self._next_token)
            answer = _Answer(user_id, limit, asyncio.get_running_loop().create_future())
            self._answers[token] = answer
            request = {
                "seq": first_sequence,
                "next_by_subj": f"feed.{user_id}",
                "batch": limit,
                "max_bytes": _PAGE_BYTES,
            }
            try:
                async with asyncio.timeout(_ANSWER_TIMEOUT_SECONDS):
                    await self._bus.client.publish(
                        _DIRECT_GET, orjson.dumps(request), reply=f"{self._inbox}.{token}"
                    )
                    return await answer.done
            except PUBLISH_ERRORS as error:
                raise HistoryUnavailable(str(error) or type(error).__name__) from error
            finally:
                del self._answers[token]

    async def state(self) -> StreamState:
        """Return how far the stream reaches, as of some moment after this call.

        Callers share a question that has not been asked yet, so a crowd costs two questions at a time.

        Raises:
            HistoryUnavailable: the broker did not say.
        """
        if self._asked_next is None:
            self._asked_next = asyncio.create_task(self._ask_after(self._asking))
        return await asyncio.shield(self._asked_next)

    async def _ask_after(self, earlier: "asyncio.Task[StreamState] | None") -> StreamState:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._asking, self._asked_next = self._asked_next, None
        return await self._ask()

    async def _ask(self) -> StreamState:
        try:
            answer = await self._bus.client.request(_STREAM_INFO, b"", timeout=_ANSWER_TIMEOUT_SECONDS)
            body: dict[str, Any] = orjson.loads(answer.data)
            if "error" in body:
                raise HistoryUnavailable(body["error"].get("description", "the stream does not answer"))
            per_subject: int = body["config"]["max_msgs_per_subject"]
            return StreamState(
                incarnation=incarnation_of(body["created"]),
                first_sequence=body["state"]["first_seq"],
                last_sequence=body["state"]["last_seq"],
                messages_per_user=per_subject if per_subject > 0 else None,
            )
        except (*PUBLISH_ERRORS, orjson.JSONDecodeError) as error:
            raise HistoryUnavailable(str(error) or type(error).__name__) from error

    async def _on_answer(self, message: Msg) -> None:
        answer = self._answers.get(message.subject.rpartition(".")[2])
        if answer is not None:
            answer.add(message)
