"""What tests of channels share."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from uuid import UUID, uuid4

from snowrail_events import DeviceSignedInV1, PaymentSucceededV1, UserRegisteredV1
from snowrail_kit.database import Row
from snowrail_testkit import Broker, Builder, RunningService, eventually
from snowrail_testkit.tokens import TokenIssuer

SECRET = "a secret of the tests, and of nothing else"
TOKEN = "31337:0x" + "0" * 40
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"

StartNotification = Callable[..., Awaitable[RunningService]]


class MovableClock(Protocol):
    """A clock that runs and can be moved."""

    def now(self) -> Any:
        """Return the time."""
        ...

    def advance(self, seconds: float) -> None:
        """Move ahead."""
        ...


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
        self, running: RunningService, issuer: TokenIssuer, clock: MovableClock, user: UUID, **identity: Any
    ) -> None:
        self._running, self._issuer, self._clock, self._user = running, issuer, clock, user
        self._identity = identity

    async def __call__(self, method: str, path: str, status: int = 200, body: Any = None) -> Any:
        """Make a request and return its answer's body."""
        headers = self._issuer.headers(self._clock.now(), self._user, **self._identity)
        answer = await self._running.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.json() if is_json else answer.text
