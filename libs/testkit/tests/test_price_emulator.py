"""The price provider answers as documented, and fails as told."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from snowrail_testkit import FakeClock
from snowrail_testkit.emulators.prices import PriceEmulator, build_app

QUERY = {
    "ids": "crypto-com-chain,usd-coin,unheard-of",
    "vs_currencies": "usd,eur,xyz",
    "include_last_updated_at": "true",
}


@pytest.fixture
async def provider(clock: FakeClock) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(PriceEmulator(now=clock.now))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://provider") as client:
        yield client


async def prices(provider: httpx.AsyncClient) -> httpx.Response:
    return await provider.get("/api/v3/simple/price", params=QUERY)


async def test_known_ids_and_currencies_are_quoted(provider: httpx.AsyncClient, clock: FakeClock) -> None:
    answer = (await prices(provider)).json()
    assert answer == {
        "crypto-com-chain": {
            "usd": 0.0921,
            "eur": pytest.approx(0.084732),
            "last_updated_at": int(clock.now().timestamp()),
        },
        "usd-coin": {
            "usd": 0.9998,
            "eur": pytest.approx(0.919816),
            "last_updated_at": pytest.approx(1767268800),
        },
    }


async def test_time_is_left_out_unless_asked_for(provider: httpx.AsyncClient) -> None:
    answer = await provider.get("/api/v3/simple/price", params={"ids": "tether", "vs_currencies": "usd"})
    assert answer.json() == {"tether": {"usd": 1.0002}}


@pytest.mark.parametrize("missing", ["ids", "vs_currencies"])
async def test_missing_parameters_are_refused(provider: httpx.AsyncClient, missing: str) -> None:
    query = {name: value for name, value in QUERY.items() if name != missing}
    answer = await provider.get("/api/v3/simple/price", params=query)
    assert answer.status_code == 422
    assert missing in answer.json()["error"]


async def test_a_rate_limit_says_when_to_come_back(provider: httpx.AsyncClient) -> None:
    await provider.put(
        "/admin/behaviour", json={"mode": "rate_limited", "failures": 2, "retry_after_seconds": 7}
    )
    for _ in range(2):
        answer = await prices(provider)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert (await prices(provider)).status_code == 200


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [({"mode": "server_error"}, 503), ({"mode": "slow", "delay_seconds": 0}, 200), ({"mode": "normal"}, 200)],
)
async def test_modes_last_until_changed(
    provider: httpx.AsyncClient, behaviour: dict[str, Any], status: int
) -> None:
    await provider.put("/admin/behaviour", json=behaviour)
    assert [(await prices(provider)).status_code for _ in range(3)] == [status] * 3
    assert (await provider.get("/admin/behaviour")).json()["mode"] == behaviour["mode"]


async def test_stale_prices_say_how_old_they_are(provider: httpx.AsyncClient, clock: FakeClock) -> None:
    await provider.put("/admin/behaviour", json={"mode": "stale", "stale_seconds": 600})
    updated_at = (await prices(provider)).json()["usd-coin"]["last_updated_at"]
    assert updated_at == int((clock.now() - timedelta(seconds=600)).timestamp())


async def test_anomalous_prices_and_set_prices(provider: httpx.AsyncClient) -> None:
    await provider.put("/admin/prices/crypto-com-chain", json={"usd": "0.2"})
    assert (await prices(provider)).json()["crypto-com-chain"]["usd"] == 0.2
    await provider.put("/admin/behaviour", json={"mode": "anomalous", "factor": "100"})
    assert (await prices(provider)).json()["crypto-com-chain"]["usd"] == 20.0
    refused = await provider.put("/admin/prices/crypto-com-chain", json={"usd": "-1"})
    assert refused.status_code == 422


async def test_a_malformed_answer_is_no_json(provider: httpx.AsyncClient) -> None:
    await provider.put("/admin/behaviour", json={"mode": "malformed"})
    answer = await prices(provider)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()
