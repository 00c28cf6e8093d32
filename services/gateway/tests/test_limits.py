"""Windows and buckets, by themselves and at the edge."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from snowrail_gateway.limits import RateBucket, WindowLimit, address_key
from snowrail_testkit import FakeClock

from .support import Issuer, StartGateway, open_client


@given(
    limit=st.integers(min_value=1, max_value=20),
    pauses=st.lists(st.floats(min_value=0, max_value=30), max_size=100),
)
def test_never_many_more_than_the_limit_in_any_window(limit: int, pauses: list[float]) -> None:
    window, now, admitted = WindowLimit(limit, 60, 10), 1_000_000.0, list[float]()
    for pause in pauses:
        now += pause
        if window.take("a", now) == 0:
            admitted.append(now)
    for start in admitted:
        inside = [time for time in admitted if start <= time < start + 60]
        # The estimate takes the requests of the window before to have come evenly.
        assert len(inside) <= 2 * limit
    fixed = {int(time // 60) for time in admitted}
    assert all(sum(int(time // 60) == each for time in admitted) <= limit for each in fixed)


@given(
    limit=st.integers(min_value=1, max_value=20),
    pauses=st.lists(st.floats(min_value=0, max_value=30), max_size=60),
)
def test_who_waits_as_told_is_let_through(limit: int, pauses: list[float]) -> None:
    window, now = WindowLimit(limit, 60, 10), 1_000_000.0
    for pause in pauses:
        now += pause
        wait = window.take("a", now)
        assert 0 <= wait <= 120
        if wait:
            now += wait + 0.001
            assert window.take("a", now) == 0


def test_keys_are_counted_apart_and_the_quiet_ones_forgotten() -> None:
    window = WindowLimit(1, 60, 2)
    assert window.take("a", 0) == 0
    assert window.take("b", 0) == 0
    assert window.take("a", 0) > 0
    assert window.take("c", 0) == 0  # forgets b, which was quiet longest
    assert len(window) == 2
    assert window.take("a", 0) > 0
    assert window.take("b", 0) == 0


def test_a_bucket_admits_its_burst_and_then_its_rate() -> None:
    bucket = RateBucket(2, 3, 0)
    assert [bucket.take(0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take(0.5) == 0
    assert bucket.take(0.5) == 0.5
    assert [bucket.take(100) for _ in range(4)] == [0, 0, 0, 0.5]


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("not an address", "not an address"),
    ],
)
def test_a_subscriber_is_counted_as_one(host: str, key: str) -> None:
    assert address_key(host) == key


def standing() -> FakeClock:
    """A clock by which no window ends during a test."""
    return FakeClock(datetime.now(UTC))


async def test_an_address_over_its_limit_is_told_when_to_come_back(start_gateway: StartGateway) -> None:
    async with start_gateway(standing(), address_requests_per_minute=3) as gateway:
        answers = [await gateway.http.get("/") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        refused = answers[-1]
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "rate_limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 120
        assert refused.json()["retry_after_seconds"] == int(refused.headers["retry-after"])
        for path in ("/api/intent/x", "/feed", "/nothing"):
            assert (await gateway.http.get(path)).status_code == 429
        assert (await gateway.http.get("/health/live")).status_code == 200


async def test_a_user_over_the_limit_is_refused_from_any_address(
    start_gateway: StartGateway, issuer: Issuer
) -> None:
    alice = {"Authorization": f"Bearer {issuer.token(uuid4())}"}
    bob = {"Authorization": f"bearer {issuer.token(uuid4())}"}
    async with start_gateway(standing(), user_requests_per_hour=2, trusted_proxies="127.0.0.1") as gateway:
        statuses = [
            (await gateway.http.get("/", headers={**alice, "X-Forwarded-For": f"203.0.113.{n}"})).status_code
            for n in range(3)
        ]
        assert statuses == [200, 200, 429]
        assert (await gateway.http.get("/", headers=bob)).status_code == 200
        for token in ("Bearer nonsense", "Basic x", "Bearer"):
            assert (await gateway.http.get("/", headers={"Authorization": token})).status_code == 200


async def test_an_untrusted_client_cannot_choose_its_address(start_gateway: StartGateway) -> None:
    async with start_gateway(standing(), address_requests_per_minute=1) as gateway:
        statuses = [
            (await gateway.http.get("/", headers={"X-Forwarded-For": f"203.0.113.{n}"})).status_code
            for n in range(2)
        ]
        assert statuses == [200, 429]


async def test_handshakes_of_an_address_are_limited(start_gateway: StartGateway) -> None:
    async with start_gateway(standing(), address_handshakes_per_minute=2) as gateway:
        url = gateway.url.replace("http", "ws") + "/ws"
        for _ in range(2):
            async with open_client(gateway):
                pass
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["Retry-After"]) >= 1
