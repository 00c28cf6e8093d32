"""One WebSocket: who it is, what it asks for, and what it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from snowrail_gateway.catch_up import CatchUp
from snowrail_gateway.commands import Commands
from snowrail_gateway.feed import Feed
from snowrail_gateway.frames import (
    Authenticate,
    BadFrame,
    ClientFrame,
    MalformedEvent,
    MarkRead,
    Ping,
    PostMessage,
    encode,
    encode_authenticated,
    encode_event,
    parse_frame,
)
from snowrail_gateway.history import HistoryUnavailable
from snowrail_gateway.limits import RateBucket
from snowrail_gateway.metrics import DISCONNECTS, FRAMES_RECEIVED, MALFORMED, REPLAYED, RESYNCS
from snowrail_gateway.outbound import Outbound, Send, SlowConsumer
from snowrail_gateway.positions import Position, PositionLost
from snowrail_gateway.publishing import NotAccepted
from snowrail_gateway.recent import Entry
from snowrail_gateway.registry import Registry, TooMany
from snowrail_gateway.revocations import Revocations
from snowrail_gateway.settings import Settings
from snowrail_kit.auth import Identity, InvalidToken, TokenVerifier
from snowrail_kit.clock import Clock
from snowrail_kit.ids import Ids

Receive = Callable[[], Awaitable[Any]]

POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013

_SESSION_ENDED = "This session has ended; sign in again."

log = structlog.get_logger("session")


@dataclass(frozen=True)
class Hall:
    """What all sessions share."""

    settings: Settings
    clock: Clock
    ids: Ids
    verifier: TokenVerifier
    feed: Feed
    catch_up: CatchUp
    commands: Commands
    registry: Registry
    revocations: Revocations


class Session:
    """A client's connection from its acceptance to its end.

    Args:
        address: what the client's network address is counted under.
        receive, send: of the ASGI connection, whose handshake is still open.
    """

    __slots__ = (
        "_address", "_deadline", "_frames", "_hall", "_identity", "_outbound", "_receive", "_refused",
        "_send", "_sequence", "_task", "_user_id",
    )  # fmt: skip

    def __init__(self, hall: Hall, address: str, receive: Receive, send: Send) -> None:
        settings = hall.settings
        self._hall = hall
        self._address = address
        self._receive = receive
        self._send = send
        self._outbound = Outbound(send, settings.outbound_limit_frames, settings.outbound_limit_bytes)
        self._frames = RateBucket(settings.frames_per_second, 2 * settings.frames_per_second, _now())
        self._refused = 0
        self._identity: Identity | None = None
        self._user_id: str | None = None
        self._sequence = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Serve an admitted connection until either side ends it."""
        self._task = asyncio.current_task()
        try:
            await self._send({"type": "websocket.accept"})
            self._put(encode("connect", session_id=self._hall.ids.new()))
            self._end_after(
                self._hall.settings.authentication_timeout_seconds,
                "authentication_timeout",
                "No access token arrived in time.",
            )
            while True:
                message = await self._receive()
                if message["type"] != "websocket.receive":
                    break
                await self._handle(message.get("text"))
        except asyncio.CancelledError:
            if not self._outbound.ending:
                raise
        except OSError:
            return  # the client went away
        except Exception as error:  # one session's failure is not the others'
            log.error("session failed", exc_info=error)
            self._end("internal_error", "Something went wrong on our side.", INTERNAL_ERROR)
            await self._outbound.settled(self._hall.settings.close_timeout_seconds)
        finally:
            self._release()

    def deliver(self, sequence: int, frame: str, /) -> None:
        """Send the next event of the feed, unless the client has it already."""
        if sequence > self._sequence:
            self._sequence = sequence
            self._put(frame)

    def restart(self, position: Position, /) -> None:
        """Tell the client to reload: from `position` on it hears everything again."""
        self._sequence = position.sequence
        RESYNCS.inc()
        self._put(encode("resync", position=str(position)))

    def drain(self) -> None:
        """End the session because the process ends."""
        self._end("draining", "This gateway is going down; connect again.", SERVICE_RESTART)

    def revoke(self) -> None:
        """End the session because its user, or a doubt about them, ended it."""
        self._end("session_ended", _SESSION_ENDED, POLICY_VIOLATION)

    async def _handle(self, text: str | None) -> None:
        wait_seconds = self._frames.take(_now())
        if wait_seconds:
            self._refuse(wait_seconds)
            return
        self._refused = 0
        if text is None or len(text) > self._hall.settings.max_frame_bytes:
            self._put(encode("error", code="bad_frame", detail="Send short text frames with JSON in them."))
            return
        try:
            frame = parse_frame(text)
        except BadFrame as error:
            self._put(encode("error", code="bad_frame", detail=f"{error}."))
            return
        FRAMES_RECEIVED.labels(frame.type).inc()
        await self._answer(frame)

    async def _answer(self, frame: ClientFrame) -> None:
        if isinstance(frame, Authenticate):
            await self._authenticate(frame)
        elif isinstance(frame, Ping):
            self._put(encode("pong", position=str(self._position) if self._user_id else None))
        elif self._identity is None:
            self._put(encode("error", code="unauthenticated", detail="Send your access token first."))
        elif isinstance(frame, PostMessage):
            await self._post(self._identity, frame)
        else:
            await self._mark_read(self._identity, frame)

    async def _authenticate(self, frame: Authenticate) -> None:
        try:
            identity = self._hall.verifier.verify(frame.token, self._hall.clock.now())
        except InvalidToken as error:
            self._refuse_authentication("unauthenticated", f"{error}.")
            return
        if self._hall.revocations.has_ended(identity.session_id):
            self._refuse_authentication("session_ended", _SESSION_ENDED)
            return
        if self._identity is None:
            await self._begin(identity, frame.position)
        elif identity.user_id == self._identity.user_id:
            self._identify(identity)
            self._put(encode_authenticated(identity, self._position))
        else:
            self._refuse_authentication("wrong_user", "This connection belongs to another user.")

    async def _begin(self, identity: Identity, position: str | None) -> None:
        user_id = str(identity.user_id)
        try:
            self._hall.registry.identify(self._address, user_id)
        except TooMany as error:
            self._refuse_authentication(error.reason, "Close another connection of yours first.")
            return
        self._user_id = user_id
        self._identify(identity)
        try:
            await self._resume(identity, user_id, position)
        except HistoryUnavailable:
            self._end("unavailable", "What you missed cannot be read now; try again.", TRY_AGAIN_LATER)
        except SlowConsumer:
            self._end_slow()

    def _identify(self, identity: Identity) -> None:
        if self._identity is not None:
            self._hall.revocations.unwatch(self._identity.session_id, self.revoke)
        self._identity = identity
        self._hall.revocations.watch(identity.session_id, self.revoke)
        lifetime = identity.expires_at - self._hall.clock.now()
        self._end_after(
            max(lifetime.total_seconds(), 0), "token_expired", "The access token has expired; refresh it."
        )

    async def _resume(self, identity: Identity, user_id: str, asked: str | None) -> None:
        """Say where the feed goes on from, replay what was missed, and hear the feed live from there on."""
        position, lost = self._hall.feed.position, False
        if asked is not None:
            try:
                position = await self._hall.catch_up.locate(asked)
            except PositionLost:
                lost = True
        self._put(encode_authenticated(identity, position))
        if lost:
            self.restart(position)
        replayed = 0
        while not self._outbound.ending:
            try:
                page = await self._hall.catch_up.page(user_id, position)
            except PositionLost:
                position = self._hall.feed.position
                self.restart(position)
                continue
            taken = self._replay(position.incarnation, page.entries)
            replayed += taken
            if taken < len(page.entries):
                position = Position(position.incarnation, page.entries[taken - 1].sequence)
            elif page.complete:
                self._sequence = page.position.sequence
                self._hall.feed.listen(user_id, self)
                REPLAYED.observe(replayed)
                return
            else:
                position = page.position
            await self._outbound.drained(self._hall.settings.close_timeout_seconds)

    def _replay(self, incarnation: str, entries: Sequence[Entry]) -> int:
        """Queue entries until the queue is half full; return how many were taken."""
        for taken, entry in enumerate(entries, start=1):
            try:
                self._put(encode_event(incarnation, entry))
            except MalformedEvent:
                MALFORMED.inc()
            if self._outbound.half_full:
                return taken
        return len(entries)

    async def _post(self, identity: Identity, frame: PostMessage) -> None:
        try:
            message_id = await self._hall.commands.post(identity, frame)
        except NotAccepted as error:
            self._put(encode("error", code="unavailable", detail=f"Not accepted: {error}.", id=frame.id))
        else:
            self._put(encode("chat:accepted", id=frame.id, message_id=message_id))

    async def _mark_read(self, identity: Identity, frame: MarkRead) -> None:
        try:
            await self._hall.commands.mark_read(identity, frame)
        except NotAccepted as error:
            self._put(encode("error", code="unavailable", detail=f"Not accepted: {error}."))

    @property
    def _position(self) -> Position:
        """Up to where the client has, or will have, everything that was queued for it."""
        feed = self._hall.feed
        return Position(feed.incarnation, max(self._sequence, feed.recent.last))

    def _refuse(self, wait_seconds: float) -> None:
        self._refused += 1
        if self._refused > self._hall.settings.max_refused_frames:
            self._end("rate_limited", "Far too many frames.", POLICY_VIOLATION)
            return
        detail = "Too many frames; this one was not read."
        self._put(
            encode("error", code="rate_limited", detail=detail, retry_after_seconds=round(wait_seconds, 3))
        )

    def _refuse_authentication(self, code: str, detail: str) -> None:
        self._put(encode("auth:error", code=code, detail=detail))
        if self._identity is None:
            self._end(code, detail, POLICY_VIOLATION)

    def _put(self, frame: str) -> None:
        try:
            self._outbound.put(frame)
        except SlowConsumer:
            self._end_slow()

    def _end_slow(self) -> None:
        detail = "You read more slowly than you are sent to; connect again with your last position."
        self._end("slow_consumer", detail, TRY_AGAIN_LATER, discard=True)

    def _end_after(self, seconds: float, code: str, detail: str) -> None:
        self._cancel_deadline()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(seconds, self._end, code, detail, POLICY_VIOLATION)

    def _end(self, code: str, detail: str, close_code: int, discard: bool = False) -> None:
        """Say why, and close; a client that does not read even that is cut off."""
        if self._outbound.ending:
            return
        DISCONNECTS.labels(code).inc()
        self._stop_listening()
        self._outbound.finish(encode("disconnect", code=code, detail=detail), close_code, discard=discard)
        self._cancel_deadline()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._hall.settings.close_timeout_seconds, self._cut)

    def _cut(self) -> None:
        assert self._task is not None, "only a running session ends"
        self._task.cancel()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_listening(self) -> None:
        if self._user_id is not None:
            self._hall.feed.forget(self._user_id, self)

    def _release(self) -> None:
        self._cancel_deadline()
        self._stop_listening()
        if self._identity is not None:
            self._hall.revocations.unwatch(self._identity.session_id, self.revoke)
        self._outbound.abandon()
        self._hall.registry.remove(self, self._address, self._user_id)


def _now() -> float:
    return asyncio.get_running_loop().time()
