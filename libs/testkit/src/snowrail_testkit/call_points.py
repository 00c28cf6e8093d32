"""A service that dies before or after one of its database, bus or HTTP calls, wherever a test wants it to.

The process runs `serve_service` instead of the kit's `serve`; production code knows nothing of this. What the
drivers of database, bus and HTTP offer is wrapped before the service starts: each call is counted under a
label that says what it is about. The end is `os._exit`: nothing is rolled back, flushed or closed.
"""

import ctypes
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import httpx
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from snowrail_kit.cli import load_service, serve
from snowrail_testkit.call_board import FOLDER_VARIABLE, Call, CallBoard, Side

ENDED_STATUS = 86
"""Exit status of a process that died as ordered."""
_FLUSH_TIMEOUT_SECONDS = 2
_STATEMENT_CHARACTERS = 60
_PR_SET_PDEATHSIG = 1
_CHANGING = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32,}")
_INBOX_INSERT, _INBOX_SUBJECTS = "WITH fresh AS ( INSERT INTO inbox ", 3
_OUTBOX_INSERT, _OUTBOX_SUBJECTS = "INSERT INTO outbox ", 2
_PLUMBING = ("snowrail_kit.database", "snowrail_kit.unit_of_work", "snowrail_kit.service", "snowrail_testkit")

_is_inside: ContextVar[bool] = ContextVar("inside a counted call", default=False)

Answer = Callable[[], Awaitable[Any]]
Outcome = Callable[[Any], str]


def serve_service(package: str) -> None:
    """Run a service until SIGTERM. When it died as ordered, a new process follows at once."""
    service = load_service(package)
    status = ENDED_STATUS
    while status == ENDED_STATUS:
        child = os.fork()
        if child == 0:
            _end_with_parent()
            install(service.name, CallBoard(Path(os.environ[FOLDER_VARIABLE])))
            serve(service)
            return
        signal.signal(signal.SIGTERM, partial(_pass_on, child))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    raise SystemExit(max(status, 0))


def _pass_on(child: int, number: int, _: object) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)


def _end_with_parent() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def install(service: str, board: CallBoard) -> None:
    """Wrap the drivers that this process calls database, bus and HTTP with."""
    counter = _Counter(service, board)
    _wrap_database(counter)
    _wrap_bus(counter)
    _wrap_http(counter)


class _Counter:
    """Counts calls by label within a run, writes them down, and ends the process where it is told to."""

    def __init__(self, service: str, board: CallBoard) -> None:
        self._service = service
        self._board = board
        self._run = 0
        self._begun: Counter[str] = Counter()
        self._ended: Counter[tuple[str, str]] = Counter()

    async def call(
        self,
        labels: Sequence[str],
        answer: Answer,
        outcome_of: Outcome | None = None,
        arrive: Answer | None = None,
    ) -> Any:
        """Make a call.

        Args:
            labels: What it is about; more than one when it carries several messages.
            answer: Makes it.
            outcome_of: Says what its answer came to.
            arrive: Waits until what was handed to the driver has left; a process that dies after a call that
                only fills a buffer would else not differ from one that died before it.
        """
        if _is_inside.get():
            return await answer()
        order = self._board.order()
        if order.run != self._run:
            self._run = order.run
            self._begun.clear()
            self._ended.clear()
        self._begun.update(labels)
        point = order.kills.get(self._service)
        if point is not None and point.side is Side.BEFORE and point.label in labels:
            self._end_at(point.occurrence, self._begun[point.label])
        token = _is_inside.set(True)
        try:
            result = await answer()
            outcome = outcome_of(result) if outcome_of is not None else ""
            keys = [(label, outcome) for label in labels]
            self._ended.update(keys)
            if point is not None and point.side is Side.AFTER and (point.label, point.outcome) in keys:
                if arrive is not None:
                    await arrive()
                self._end_at(point.occurrence, self._ended[point.label, point.outcome])
        finally:
            _is_inside.reset(token)
        if order.is_recording:
            for label in labels:
                counts = (self._begun[label], self._ended[label, outcome])
                self._board.write_call(self._run, self._service, Call(label, outcome, *counts))
        return result

    def _end_at(self, wanted: int, reached: int) -> None:
        if wanted == reached and self._board.claim_end(self._run, self._service):
            os._exit(ENDED_STATUS)


def _wrap_database(counter: _Counter) -> None:
    told: dict[int, list[str]] = {}

    def wrap(name: str, outcome_of: Outcome) -> None:
        original: Any = getattr(asyncpg.Connection, name)

        async def counted(self: Any, query: str, *arguments: Any, **options: Any) -> Any:
            if _is_inside.get():
                return await original(self, query, *arguments, **options)
            labels = _statement_labels(query, arguments, told.setdefault(id(self), []))
            return await counter.call(
                labels, lambda: original(self, query, *arguments, **options), outcome_of
            )

        setattr(asyncpg.Connection, name, counted)

    wrap("fetch", lambda rows: "rows" if rows else "none")
    wrap("fetchrow", lambda row: "none" if row is None else "rows")
    wrap("fetchval", lambda value: "rows" if value else "none")
    wrap("execute", lambda status: "none" if str(status).endswith(" 0") else "rows")


def _statement_labels(query: str, arguments: Sequence[Any], told: list[str]) -> list[str]:
    """Return what a statement is about. `told` collects the messages of a connection's transaction."""
    statement = " ".join(query.split())
    if statement.startswith("BEGIN"):
        told.clear()
    elif statement.startswith("COMMIT"):
        return [f"commit of {about}" for about in told] or [f"commit in {_caller()}"]
    if statement.startswith(_INBOX_INSERT) and not told:
        told.extend(f"received {subject}" for subject in sorted(set(arguments[_INBOX_SUBJECTS])))
        return [f"inbox {subject}" for subject in sorted(set(arguments[_INBOX_SUBJECTS]))]
    if statement.startswith(_OUTBOX_INSERT):
        subjects = sorted(set(arguments[_OUTBOX_SUBJECTS]))
        if not told:
            told.extend(f"told {subject}" for subject in subjects)
        return [f"outbox {subject}" for subject in subjects]
    return [f"{_caller()}: {statement[:_STATEMENT_CHARACTERS]}"]


def _caller() -> str:
    """Return the innermost function of ours that is making a call."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("snowrail_") and not module.startswith(_PLUMBING):
            return f"{module.partition('.')[2]}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "pool"


def _wrap_bus(counter: _Counter) -> None:
    client: Any = Client
    message: Any = Msg
    publish, request = client.publish, client.request

    async def counted_publish(
        self: Any, subject: str, payload: bytes = b"", *rest: Any, **options: Any
    ) -> Any:
        return await counter.call(
            [f"publish {_subject(subject, payload)}"],
            lambda: publish(self, subject, payload, *rest, **options),
            arrive=lambda: self.flush(_FLUSH_TIMEOUT_SECONDS),
        )

    async def counted_request(
        self: Any, subject: str, payload: bytes = b"", *rest: Any, **options: Any
    ) -> Any:
        return await counter.call(
            [f"request {_subject(subject, payload)}"],
            lambda: request(self, subject, payload, *rest, **options),
        )

    def wrap_answer(name: str) -> None:
        original = getattr(message, name)

        async def counted(self: Any, *arguments: Any, **options: Any) -> Any:
            return await counter.call(
                [f"{name} {_subject(self.subject, b'')}"],
                lambda: original(self, *arguments, **options),
                arrive=lambda: self._client.flush(_FLUSH_TIMEOUT_SECONDS),
            )

        setattr(message, name, counted)

    client.publish, client.request = counted_publish, counted_request
    wrap_answer("ack")
    wrap_answer("nak")


def _subject(subject: str, payload: bytes) -> str:
    """Return a subject without what changes from run to run; of a feed, with the name of the event."""
    if subject.startswith("feed."):
        return f"feed {orjson.loads(payload)['name']}"
    if subject.startswith("_INBOX"):
        return "reply"
    return _CHANGING.sub("*", subject)


def _wrap_http(counter: _Counter) -> None:
    session: Any = aiohttp.ClientSession
    client: Any = httpx.AsyncClient
    request, send = session._request, client.send

    async def counted_request(self: Any, method: str, url: Any, **options: Any) -> Any:
        about = _rpc_methods(options.get("data")) or f"{method} {_path(str(url))}"
        return await counter.call([f"http {about}"], lambda: request(self, method, url, **options))

    async def counted_send(self: Any, outgoing: Any, **options: Any) -> Any:
        about = f"{outgoing.method} {_path(str(outgoing.url))}"
        return await counter.call([f"http {about}"], lambda: send(self, outgoing, **options))

    session._request, client.send = counted_request, counted_send


def _path(url: str) -> str:
    return _CHANGING.sub("*", url.partition("://")[2].partition("/")[2].partition("?")[0])


def _rpc_methods(body: Any) -> str:
    """Return the methods of a JSON-RPC request, a repeated one once; nothing for other bodies."""
    if not isinstance(body, bytes) or b'"jsonrpc"' not in body:
        return ""
    calls: Any = orjson.loads(body)
    methods = [call["method"] for call in (calls if isinstance(calls, list) else [calls])]
    return " ".join(dict.fromkeys(methods))
