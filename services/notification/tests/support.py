"""What tests of channels share."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from snowrail_events import DeviceSignedInV1, PaymentSucceededV1, UserRegisteredV1
from snowrail_kit.clock import Clock
from snowrail_kit.database import Row
from snowrail_testkit import Broker, Builder, RunningService, eventually
from snowrail_testkit.tokens import TokenIssuer

SECRET = "a secret of the tests, and of nothing else"
CHAINS = """{"chains": [{"chain_id": 31337, "name": "dev", "rpc_urls": ["http://127.0.0.1:1"],
 "confirmations": 1,
 "block_time_seconds": 1, "explorer_url": null, "start_block": 0,
 "escrow": "0x5FbDB2315678afecb367f032d93F642f64180aa3", "executors": [],
 "tokens": [{"symbol": "CRO", "address": "0x0000000000000000000000000000000000000000", "decimals": 18,
             "name": "Cronos"}]}]}"""
TOKEN = "31337:0x" + "0" * 40
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"

StartNotification = Callable[..., Awaitable[RunningService]]


class MovingClock:
    """The real time, moved: claims and rates need time that passes, back-off time that jumps."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Move ahead."""
        self._ahead += timedelta(seconds=seconds)


async def register(broker: Broker, build: Builder, running: RunningService, **fields: Any) -> UUID:
    """Have a user known, and return their id."""
    user = uuid4()
    values = {"user_id": user, "address": ADDRESS, "handle": "alice", "roles": ("user",), **fields}
    await broker.probe.publish(build(UserRegisteredV1, **values))

    async def known() -> bool:
        query = "SELECT 1 FROM known_user WHERE user_id = $1"
        return bool(await running.runtime.database.fetch(query, user))

    await eventually(known)
    return user


async def tell_critical(broker: Broker, build: Builder, user: UUID) -> None:
    """Cause a security alert."""
    await broker.probe.publish(build(DeviceSignedInV1, user_id=user, is_new=True, label="Phone"))


async def tell_payment(broker: Broker, build: Builder, user: UUID) -> None:
    """Cause a notification that a payment arrived: told on every channel that is not switched off."""
    event = build(PaymentSucceededV1, user_id=uuid4(), recipient=ADDRESS, token=TOKEN, amount=10**18)
    await broker.probe.publish(event)


async def deliveries(running: RunningService, channel: str) -> list[Row]:
    """Return the deliveries of notifications over a channel, oldest first."""
    return await running.runtime.database.fetch(
        "SELECT delivery.*, notification.type FROM delivery JOIN notification USING (notification_id)"
        " WHERE channel = $1 ORDER BY delivery.created_at, delivery_id",
        channel,
    )


async def let_pass(running: RunningService, clock: MovingClock, seconds: float) -> None:
    """Move ahead, except while something is being sent: its claim would end in the meantime."""
    if not await running.runtime.database.fetch("SELECT 1 FROM delivery WHERE state = 'sending'"):
        clock.advance(seconds)


async def states(running: RunningService, channel: str, type_: str) -> list[str]:
    """Return the states of a type's deliveries over a channel."""
    return [row["state"] for row in await deliveries(running, channel) if row["type"] == type_]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something that can be seen at once is so."""

    async def look() -> bool:
        return condition()

    await eventually(look)


class Caller:
    """A user at the HTTP interface."""

    def __init__(
        self, running: RunningService, issuer: TokenIssuer, clock: Clock, user: UUID, **identity: Any
    ) -> None:
        self._running, self._issuer, self._clock, self._user = running, issuer, clock, user
        self._identity = identity

    async def __call__(self, method: str, path: str, status: int = 200, body: Any = None) -> Any:
        """Make a request and return its answer's body."""
        headers = self._issuer.headers(self._clock.now(), self._user, **self._identity)
        answer = await self._running.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        is_json = answer.content and "json" in answer.headers.get("content-type", "")
        return answer.json() if is_json else answer.text
