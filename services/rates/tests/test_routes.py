"""What the routes answer about prices that were believed, and those that were not."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import orjson
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from snowrail_kit.auth import Identity, identity_claims
from snowrail_rates import usecases
from snowrail_rates.app import service
from snowrail_rates.clients import ProviderFailed
from snowrail_rates.domain import Quote
from snowrail_rates.settings import Settings
from snowrail_testkit import Broker, CreateDatabase, FakeClock, RunningService, running_service


@dataclass
class ScriptedProvider:
    """Says what a test has it say."""

    said: list[Quote] = field(default_factory=list[Quote])

    async def quotes(self) -> list[Quote]:
        """Return the quotes, or fail when there are none."""
        if not self.said:
            raise ProviderFailed("silent")
        return self.said


@dataclass
class Rates:
    """A running service whose provider and time a test decides."""

    running: RunningService
    clock: FakeClock
    key: Ed25519PrivateKey

    async def hear(self, price: str, symbol: str = "CRO", at: datetime | None = None) -> None:
        """Have the provider say one price, and refresh."""
        quote = Quote(symbol, "USD", Decimal(price), at or self.clock.now())
        await usecases.refresh(replace(self.running.parts, provider=ScriptedProvider([quote])))

    async def hear_nothing(self) -> None:
        """Have the provider fail, and refresh."""
        await usecases.refresh(replace(self.running.parts, provider=ScriptedProvider()))

    async def get(self, path: str, *roles: str, status: int = 200) -> Any:
        """Return what a route answers to somebody with these roles."""
        identity = Identity(
            user_id=uuid4(),
            handle="somebody",
            address="0x" + "11" * 20,
            roles=frozenset({"user", *roles}),
            device_id=uuid4(),
            session_id=uuid4(),
            expires_at=self.clock.now() + timedelta(minutes=10),
        )
        claims = identity_claims(identity, self.clock.now())
        token = jwt.encode(claims, self.key, algorithm="EdDSA", headers={"kid": "test"})
        answer = await self.running.http.get(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest_asyncio.fixture(loop_scope="session")
async def rates(
    broker: Broker, create_database: CreateDatabase, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[Rates]:
    """The service."""
    key = Ed25519PrivateKey.generate()
    public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(orjson.dumps({"keys": [{**public, "kid": "test", "alg": "EdDSA", "use": "sig"}]}))
    settings = broker.settings(
        Settings,
        "rates",
        await create_database("snowrail_rates"),
        jwt_public_keys_file=jwks,
        price_provider_url="http://127.0.0.1:1",
        refresh_seconds=3_600,
    )
    async with running_service(service, settings, clock) as running:
        yield Rates(running, clock, key)


async def test_a_price_states_its_age_and_when_it_is_stale(rates: Rates) -> None:
    await rates.hear("0.0921")
    await rates.hear("1", "USDC")
    assert [price["symbol"] for price in await rates.get("/prices")] == ["CRO", "USDC"]
    price = await rates.get("/prices/cro?currency=usd")
    assert (price["symbol"], price["currency"], price["price"]) == ("CRO", "USD", "0.0921")
    assert (price["age_seconds"], price["stale"]) == (0, False)
    rates.clock.advance(901)
    await rates.hear_nothing()
    price = await rates.get("/prices/CRO")
    assert (price["price"], price["age_seconds"], price["stale"]) == ("0.0921", 901, True)
    for path in ("/prices/BTC", "/prices/CRO?currency=EUR"):
        assert (await rates.get(path, status=404))["code"] == "not_found"


async def test_history_is_newest_first_and_bounded(rates: Rates) -> None:
    for price in ("0.10", "0.11", "0.12"):
        await rates.hear(price)
        rates.clock.advance(3_600)
    points = await rates.get("/prices/CRO/history")
    assert [point["price"] for point in points] == ["0.12", "0.11", "0.1"]
    assert len(await rates.get("/prices/CRO/history?limit=2")) == 2
    assert len(await rates.get("/prices/CRO/history?hours=2")) == 2
    for bad in ("hours=0", "limit=0", "limit=5001", "hours=x"):
        assert (await rates.get(f"/prices/CRO/history?{bad}", status=422))["code"] == "invalid_request"


async def test_a_jump_stands_in_the_database_until_it_is_confirmed(rates: Rates) -> None:
    await rates.hear("0.1")
    for _ in range(4):
        rates.clock.advance(30)
        seen = rates.clock.now()
        await rates.hear("0.2", at=seen)
        await rates.hear("0.2", at=seen)
        if (await rates.get("/prices/CRO"))["price"] == "0.2":
            break
    assert (await rates.get("/prices/CRO"))["price"] == "0.2"
    anomalies = await rates.get("/anomalies", "admin")
    assert {anomaly["code"] for anomaly in anomalies} == {"deviation"}
    assert {(anomaly["price"], anomaly["last_price"]) for anomaly in anomalies} == {("0.2", "0.1")}
    assert len(anomalies) == 4


async def test_anomalies_are_for_administrators(rates: Rates) -> None:
    await rates.hear("-1")
    await rates.get("/anomalies", status=403)
    (anomaly,) = await rates.get("/anomalies", "admin")
    assert (anomaly["code"], anomaly["price"], anomaly["last_price"]) == ("not_a_price", "-1", "")
    assert await rates.get("/prices") == []


async def test_old_history_is_deleted(rates: Rates) -> None:
    await rates.hear("0.1")
    await rates.hear("-1")
    rates.clock.advance(timedelta(days=91))
    await rates.hear("0.1")
    row = await rates.running.runtime.database.fetch_row(
        "SELECT (SELECT count(*) FROM price_history) AS points, (SELECT count(*) FROM anomaly) AS anomalies"
    )
    assert (row["points"], row["anomalies"]) == (1, 0)
