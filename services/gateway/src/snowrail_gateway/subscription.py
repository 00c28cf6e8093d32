"""The gateway's one consumer of the feed stream: ordered, not acknowledged, made anew after any gap."""

import asyncio
from datetime import datetime
from uuid import uuid4

import orjson
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from snowrail_gateway.feed import Feed
from snowrail_gateway.history import History, HistoryUnavailable
from snowrail_gateway.metrics import FEED_INTERRUPTIONS
from snowrail_gateway.recent import Entry
from snowrail_kit.bus import FEED_STREAM, PUBLISH_ERRORS, Bus

_CONSUMER_API = "$JS.API.CONSUMER"
_API_TIMEOUT_SECONDS = 5.0
_HEARTBEAT_SECONDS = 1.0
_SILENCE_SECONDS = 3.5
_INACTIVE_THRESHOLD_SECONDS = 30
_RETRY_FIRST_SECONDS = 0.05
_RETRY_LAST_SECONDS = 2.0
_MESSAGES_BETWEEN_YIELDS = 32
_PENDING_MESSAGES = 65_536
_PENDING_BYTES = 64 * 1024 * 1024
_NANOSECONDS = 1_000_000_000

log = structlog.get_logger("feed")


class FeedSubscription:
    """Keeps a feed supplied: consumes the stream from where the feed stands, for as long as it runs."""

    def __init__(self, bus: Bus, history: History, feed: Feed) -> None:
        self._bus = bus
        self._history = history
        self._feed = feed
        self._interrupted = asyncio.Event()
        self._stopping = False
        bus.on_reconnect(self._interrupted.set)

    def stop(self) -> None:
        """Have `run` return."""
        self._stopping = True
        self._interrupted.set()

    async def run(self) -> None:
        """Consume until stopped. Whatever interrupts it is logged, counted and followed by a new consumer."""
        pause = _RETRY_FIRST_SECONDS
        while not self._stopping:
            self._interrupted.clear()
            try:
                await self._consume()
                pause = _RETRY_FIRST_SECONDS
            except Exception as error:  # whatever it is: without the feed this gateway would be deaf
                expected = isinstance(error, (HistoryUnavailable, *PUBLISH_ERRORS))
                log.warning(
                    "feed interrupted",
                    error=str(error) or type(error).__name__,
                    exc_info=None if expected else error,
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_LAST_SECONDS)
            finally:
                self._feed.live = False
            FEED_INTERRUPTIONS.inc()

    async def _consume(self) -> None:
        state = await self._history.state()
        feed = self._feed
        if feed.incarnation != state.incarnation or not (
            state.first_sequence - 1 <= feed.recent.last <= state.last_sequence
        ):
            before = max(state.first_sequence - 1, state.last_sequence - feed.recent.limit_messages, 0)
            feed.restart(state.incarnation, before, state.last_sequence)
        feed.advance(state.last_sequence)
        consumer = _OrderedConsumer(self._bus, feed, self._interrupted)
        try:
            await consumer.open()
            while not self._interrupted.is_set():
                feed.live = feed.recent.last >= state.last_sequence
                await self._watch(consumer)
        finally:
            await consumer.close()

    async def _watch(self, consumer: "_OrderedConsumer") -> None:
        """Wait until the next look at the consumer is due; a consumer that fell silent is given up."""
        try:
            await asyncio.wait_for(
                self._interrupted.wait(), _HEARTBEAT_SECONDS if self._feed.live else _RETRY_FIRST_SECONDS
            )
        except TimeoutError:
            if consumer.seconds_silent > _SILENCE_SECONDS:
                log.warning("the feed fell silent")
                self._interrupted.set()


class _OrderedConsumer:
    """One ephemeral push consumer. Its first gap interrupts the subscription, and it says nothing more."""

    def __init__(self, bus: Bus, feed: Feed, interrupted: asyncio.Event) -> None:
        self._bus = bus
        self._feed = feed
        self._interrupted = interrupted
        self._name = f"gateway_{uuid4().hex}"
        self._inbox = bus.client.new_inbox()
        self._delivered = 0
        self._heard_at = 0.0
        self._broken = False
        self._subscription: Subscription | None = None

    @property
    def seconds_silent(self) -> float:
        """Seconds since the broker last sent anything for this consumer."""
        return asyncio.get_running_loop().time() - self._heard_at

    async def open(self) -> None:
        """Create the consumer at the broker. Raises one of `PUBLISH_ERRORS` or HistoryUnavailable."""
        self._heard_at = asyncio.get_running_loop().time()
        self._subscription = await self._bus.client.subscribe(
            self._inbox,
            cb=self._on_message,
            pending_msgs_limit=_PENDING_MESSAGES,
            pending_bytes_limit=_PENDING_BYTES,
        )
        request = {
            "stream_name": FEED_STREAM,
            "action": "create",
            "config": {
                "name": self._name,
                "deliver_subject": self._inbox,
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": self._feed.recent.last + 1,
                "ack_policy": "none",
                "max_deliver": 1,
                "replay_policy": "instant",
                "flow_control": True,
                "idle_heartbeat": int(_HEARTBEAT_SECONDS * _NANOSECONDS),
                "inactive_threshold": _INACTIVE_THRESHOLD_SECONDS * _NANOSECONDS,
                "mem_storage": True,
                "num_replicas": 1,
            },
        }
        answer = await self._bus.client.request(
            f"{_CONSUMER_API}.CREATE.{FEED_STREAM}.{self._name}",
            orjson.dumps(request),
            timeout=_API_TIMEOUT_SECONDS,
        )
        error = orjson.loads(answer.data).get("error")
        if error is not None:
            raise HistoryUnavailable(error.get("description", "the broker made no consumer"))

    async def close(self) -> None:
        """Take the consumer away again; the broker forgets by itself what it cannot be told now."""
        self._broken = True
        if self._subscription is None or not self._bus.is_connected:
            return
        await self._subscription.unsubscribe()
        await self._bus.client.publish(f"{_CONSUMER_API}.DELETE.{FEED_STREAM}.{self._name}", b"")

    async def _on_message(self, message: Msg) -> None:
        if self._broken:
            return
        try:
            await self._handle(message)
        except Exception as error:  # it was counted as heard, so the next consumer begins after it
            log.error("feed message not handled", subject=message.subject, exc_info=error)
            self._give_up("a message was not handled")

    async def _handle(self, message: Msg) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        headers = message.headers or {}
        if "Status" in headers:
            await self._on_control(message, headers)
            return
        stream_sequence, consumer_sequence = _sequences_of(message.reply)
        if consumer_sequence != self._delivered + 1:
            self._give_up(f"message {self._delivered + 1} of the consumer is missing")
            return
        self._delivered = consumer_sequence
        user_id = message.subject.partition(".")[2]
        self._feed.dispatch(Entry(stream_sequence, user_id, message.data), _time_of(headers.get("ce-time")))
        if consumer_sequence % _MESSAGES_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)

    async def _on_control(self, message: Msg, headers: dict[str, str]) -> None:
        """Answer flow control, and compare an idle broker's count with ours."""
        answer_to = message.reply or headers.get("Nats-Consumer-Stalled")
        if answer_to:
            await self._bus.client.publish(answer_to, b"")
        delivered = headers.get("Nats-Last-Consumer")
        if delivered is not None and int(delivered) != self._delivered:
            self._give_up("messages at the end are missing")

    def _give_up(self, reason: str) -> None:
        log.warning("gap in the feed", reason=reason)
        self._broken = True
        self._interrupted.set()


def _sequences_of(reply: str) -> tuple[int, int]:
    """Return the stream's and the consumer's sequence from `$JS.ACK…`, with or without a domain (ADR-15)."""
    tokens = reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return int(tokens[at]), int(tokens[at + 1])


def _time_of(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
