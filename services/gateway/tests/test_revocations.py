"""Sessions that are over are over everywhere at once: on open sockets, at the edge, and after a restart."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from snowrail_events import PLATFORM_FEED, FeedEventV1
from snowrail_testkit import Broker, RunningService, eventually

from .support import Issuer, StartGateway, open_client


def session_of(token: str) -> UUID:
    return UUID(jwt.decode(token, options={"verify_signature": False})["session"])


async def end(broker: Broker, *session_ids: UUID, **fields: Any) -> None:
    until = datetime.now(UTC) + timedelta(seconds=600)
    data = {"session_ids": [str(item) for item in session_ids], "until": until.isoformat(), **fields}
    event = FeedEventV1(
        user_id=PLATFORM_FEED,
        event_id=uuid4(),
        name="session:ended",
        data=data,
        occurred_at=datetime.now(UTC),
    )
    await broker.probe.publish(event, producer="accounts")


async def test_an_open_socket_ends_and_does_not_come_back(
    broker: Broker, gateway: RunningService, issuer: Issuer
) -> None:
    user = uuid4()
    stolen, own = issuer.token(user), issuer.token(user)
    async with open_client(gateway) as thief, open_client(gateway) as owner:
        await thief.authenticate(stolen)
        await owner.authenticate(own)
        await end(broker, session_of(stolen))
        assert (await thief.until("disconnect"))["code"] == "session_ended"
        await owner.send("ping")
        assert (await owner.receive())["type"] != "disconnect"
    async with open_client(gateway) as again:
        await again.send("auth", token=stolen)
        assert (await again.until("auth:error"))["code"] == "session_ended"


async def test_requests_of_an_ended_session_are_refused(
    broker: Broker, gateway: RunningService, issuer: Issuer
) -> None:
    token = issuer.token(uuid4())
    headers = {"Authorization": f"Bearer {token}"}
    assert (await gateway.http.get("/feed?wait_seconds=0", headers=headers)).status_code == 200
    await end(broker, session_of(token))

    async def refused() -> bool:
        answer = await gateway.http.get("/feed?wait_seconds=0", headers=headers)
        return answer.status_code == 401 and answer.json()["code"] == "session_ended"

    await eventually(refused)
    assert (await gateway.http.get("/api/accounts/user/profile", headers=headers)).status_code == 401


async def test_a_gateway_that_starts_later_knows(
    broker: Broker, start_gateway: StartGateway, issuer: Issuer
) -> None:
    token, other = issuer.token(uuid4()), issuer.token(uuid4())
    await end(broker, session_of(token))
    for _ in range(30):
        event = FeedEventV1(
            user_id=uuid4(), event_id=uuid4(), name="notification", data={}, occurred_at=datetime.now(UTC)
        )
        await broker.probe.publish(event, producer="notification")
    async with start_gateway(recent_messages=10) as gateway, open_client(gateway) as thief:
        await thief.send("auth", token=token)
        assert (await thief.until("auth:error"))["code"] == "session_ended"
        async with open_client(gateway) as client:
            await client.authenticate(other)


@pytest.mark.parametrize("broken", [{"until": "soon"}, {"session_ids": ["x"]}, {"session_ids": None}])
async def test_what_is_not_understood_ends_nothing(
    broker: Broker, gateway: RunningService, issuer: Issuer, broken: dict[str, Any]
) -> None:
    token = issuer.token(uuid4())
    async with open_client(gateway) as client:
        await client.authenticate(token)
        await end(broker, session_of(token), **broken)
        await end(broker, uuid4())
        await client.send("ping")
        assert (await client.receive())["type"] == "pong"
