"""History and forecast of gas prices: whole numbers, bounded, cached."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain_monitor.gas_forecast import BlockFee, forecast, percentile, periods, weighted_mean
from snowrail_events import GasPriceUpdatedV1
from snowrail_testkit import Broker
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunMonitor
from .test_facts import caught_up

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
wei = st.integers(0, 2**96)


def series(values: list[int]) -> list[BlockFee]:
    """One block a second."""
    return [BlockFee(number, NOW + timedelta(seconds=number), value) for number, value in enumerate(values)]


@given(st.lists(wei, min_size=1, max_size=200))
def test_every_figure_lies_within_what_was_seen(values: list[int]) -> None:
    coming = forecast(series(values), has_base_fee=True)
    assert coming is not None
    assert min(values) <= coming.low <= coming.median <= coming.high <= max(values)
    assert min(values) - 1 <= coming.expected <= max(values)
    assert coming.next_least is not None
    assert coming.next_most is not None
    assert coming.next_least <= values[-1] < coming.next_most


@given(wei, st.integers(1, 300))
def test_a_price_that_stays_is_the_forecast(value: int, blocks: int) -> None:
    coming = forecast(series([value] * blocks), has_base_fee=False)
    assert coming is not None
    assert {coming.expected, coming.low, coming.median, coming.high} == {value}
    assert coming.next_least is None


@given(st.lists(wei, max_size=300), st.integers(1, 80))
def test_a_history_covers_every_block_once(values: list[int], count: int) -> None:
    found = periods(series(values), count)
    assert len(found) <= count
    covered = [number for part in found for number in range(part.first_block, part.last_block + 1)]
    assert covered == list(range(len(values)))
    assert all(part.low <= part.median <= part.high for part in found)


def test_nearest_rank_and_weights_by_example() -> None:
    assert [percentile([50, 10, 30, 20, 40], percent) for percent in (0, 10, 50, 90, 100)] == [
        10,
        10,
        30,
        50,
        50,
    ]
    assert weighted_mean([1_600, 0]) == 1_500
    assert forecast([], has_base_fee=True) is None


async def test_history_and_forecast_over_http_are_cached(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    async with run_monitor(world, gas_outlook_cache_seconds=60, gas_outlook_periods=5) as running:
        for gwei in (40, 50, 60):
            world.chain.set_gas_price(gwei * 10**9)
            world.chain.mine(1)
        await caught_up(running, world)
        answer = await running.http.get("/gas-prices")
        (chain,) = answer.json()
        assert answer.headers["cache-control"] == "public, max-age=60"
        assert chain["source"] == "base_fee"
        assert len(chain["history"]) == 5
        assert chain["history"][-1]["high"] == str(60 * 10**9)
        assert chain["forecast"]["next_most"] == str(60 * 10**9 * 9 // 8)
        assert int(chain["latest"]["gas_price"]) > 0
        world.chain.mine(1)
        assert (await running.http.get("/gas-prices", params={"chain_id": 31337})).json() == [chain]

        known = running.parts.gas_prices._known
        known[31337] = replace(known[31337], made_at=known[31337].made_at - timedelta(seconds=61))
        (newer,) = (await running.http.get("/gas-prices")).json()
        assert newer["made_at"] != chain["made_at"]
        assert (await running.http.get("/gas-prices", params={"chain_id": 5})).status_code == 422


async def test_a_chain_without_base_fees_is_forecast_from_what_nodes_suggest(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    async with run_monitor(world, gas_outlook_cache_seconds=0) as running:
        await broker.probe.collect(GasPriceUpdatedV1, 1)
        await caught_up(running, world)
        async with running.runtime.transaction() as tx:
            await tx.execute("UPDATE chain_block SET base_fee = 0")
        (chain,) = (await running.http.get("/gas-prices")).json()
        assert chain["source"] == "gas_price"
        assert chain["forecast"]["next_least"] is None
        assert int(chain["forecast"]["expected"]) > 0
