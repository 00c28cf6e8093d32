"""Rates over a real broker and database, against the emulator of the provider over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
import uvicorn

from snowrail_events import PriceAnomalyDetectedV1, PriceUpdatedV1
from snowrail_rates import usecases
from snowrail_rates.app import service
from snowrail_rates.clients import CoinGecko, ProviderFailed
from snowrail_rates.settings import Settings
from snowrail_testkit import Broker, CreateDatabase, FakeClock, RunningService, running_service
from snowrail_testkit.emulators.prices import Behaviour, Mode, PriceEmulator, build_app


@dataclass
class Provider:
    """The emulator, served over a real port."""

    emulator: PriceEmulator
    url: str

    def behave(self, mode: Mode, failures: int | None = None) -> None:
        self.emulator.behaviour = Behaviour(
            mode=mode, failures=failures, retry_after_seconds=0, delay_seconds=8
        )


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[Provider]:
    """A provider that answers."""
    emulator = PriceEmulator()
    server = uvicorn.Server(uvicorn.Config(build_app(emulator), port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(30):
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Provider(emulator, f"http://127.0.0.1:{port}")
    server.should_exit = True
    await serving


@pytest_asyncio.fixture(loop_scope="session")
async def rates(
    broker: Broker, create_database: CreateDatabase, provider: Provider
) -> AsyncIterator[RunningService]:
    """Rates, which fetched once when it started and then when a test says so."""
    settings = broker.settings(
        Settings,
        "rates",
        await create_database("snowrail_rates"),
        price_provider_url=provider.url,
        refresh_seconds=3_600,
        heartbeat_seconds=3_600,
    )
    async with running_service(service, settings) as running:
        await broker.probe.collect(PriceUpdatedV1, 4)
        yield running


async def test_prices_are_published_when_they_change(
    broker: Broker, rates: RunningService, provider: Provider
) -> None:
    await usecases.refresh(rates.parts)
    assert await broker.probe.count(PriceUpdatedV1) == 4
    provider.emulator.prices["crypto-com-chain"] *= 1 + provider.emulator.prices["crypto-com-chain"]
    await usecases.refresh(rates.parts)
    changed = (await broker.probe.collect(PriceUpdatedV1, 6))[4:]
    assert {event.symbol for event in changed} == {"CRO", "WCRO"}


@pytest.mark.parametrize(("mode", "code"), [(Mode.ANOMALOUS, "deviation"), (Mode.STALE, "stale")])
async def test_an_anomaly_is_reported_and_the_last_price_stands(
    broker: Broker, rates: RunningService, provider: Provider, mode: Mode, code: str
) -> None:
    provider.behave(mode, failures=1)
    await usecases.refresh(rates.parts)
    anomalies = await broker.probe.collect(PriceAnomalyDetectedV1, 4)
    assert {anomaly.code for anomaly in anomalies} == {code}
    row = await rates.runtime.database.fetch_row("SELECT price FROM price WHERE symbol = 'CRO'")
    assert str(row["price"]).startswith("0.0921")


@pytest.mark.parametrize("mode", [Mode.RATE_LIMITED, Mode.SERVER_ERROR])
async def test_a_passing_failure_is_retried(rates: RunningService, provider: Provider, mode: Mode) -> None:
    before = provider.emulator.requests
    provider.behave(mode, failures=1)
    await usecases.refresh(rates.parts)
    assert provider.emulator.requests == before + 2


async def test_after_repeated_failures_the_provider_is_left_alone(provider: Provider) -> None:
    clock = FakeClock()
    async with httpx.AsyncClient() as http:
        client = CoinGecko(http, provider.url, "key", {"CRO": "crypto-com-chain"}, ("USD",), clock)
        provider.behave(Mode.MALFORMED)
        for _ in range(3):
            with pytest.raises(ProviderFailed, match="cannot be read"):
                await client.quotes()
        provider.behave(Mode.NORMAL)
        with pytest.raises(ProviderFailed, match="left alone"):
            await client.quotes()
        clock.advance(31)
        assert [quote.symbol for quote in await client.quotes()] == ["CRO"]


async def test_a_provider_that_is_gone_is_no_crash(rates: RunningService) -> None:
    clock = FakeClock()
    async with httpx.AsyncClient() as http:
        client = CoinGecko(http, "http://127.0.0.1:1", None, {"CRO": "x"}, ("USD",), clock)
        with pytest.raises(ProviderFailed, match="not reached"):
            await client.quotes()


async def test_prices_need_a_signed_in_user(rates: RunningService) -> None:
    assert (await rates.http.get("/prices")).status_code == 401
