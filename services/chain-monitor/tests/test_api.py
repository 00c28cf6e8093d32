"""Balances, gas prices and positions over HTTP, and balances that are kept for a moment."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.config import UnknownChain
from snowrail_chain.rpc import RpcTimeout
from snowrail_chain_monitor.balances import Balances
from snowrail_chain_monitor.clients import AllowanceQuery, BalanceQuery, Funds
from snowrail_events import GasPriceUpdatedV1
from snowrail_kit.auth import Identity
from snowrail_kit.consumer import Unavailable
from snowrail_testkit import Broker, FakeClock, eventually
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunMonitor


class FakeReader:
    """Answers every balance with 7 and every allowance with 9, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[BalanceQuery], list[AllowanceQuery]]] = []
        self.block_number = 100
        self.broken = False

    async def funds(self, balances: Sequence[BalanceQuery], allowances: Sequence[AllowanceQuery]) -> Funds:
        """Answer, or fail when broken."""
        if self.broken:
            raise RpcTimeout("no answer")
        self.asked.append((list(balances), list(allowances)))
        return Funds([7] * len(balances), [9] * len(allowances), 11, self.block_number)

    def suspect(self) -> None:
        """Nothing else to take."""


ALICE, BOB = BalanceQuery("alice", "token"), BalanceQuery("bob", "token")
ALLOWED = AllowanceQuery("alice", "token", "escrow")


def balances_of(reader: Any, clock: FakeClock, max_entries: int = 100) -> Balances:
    """Balances kept for two seconds."""
    return Balances({1: reader}, clock, 2, max_entries)


async def test_only_what_is_not_known_freshly_is_asked(clock: FakeClock) -> None:
    reader = FakeReader()
    balances = balances_of(reader, clock)
    assert await balances.read(1, [ALICE, ALICE], [ALLOWED]) == Funds([7, 7], [9], 11, 100)
    reader.block_number = 101
    assert await balances.read(1, [ALICE, BOB], [ALLOWED]) == Funds([7, 7], [9], 11, 100)
    assert reader.asked == [([ALICE], [ALLOWED]), ([BOB], [])]
    clock.advance(timedelta(seconds=2))
    assert await balances.read(1, [BOB], []) == Funds([7], [], 11, 101)
    assert reader.asked[2:] == [([BOB], [])]


async def test_a_fresh_answer_uses_nothing_known_and_is_known_from_then_on(clock: FakeClock) -> None:
    reader = FakeReader()
    balances = balances_of(reader, clock)
    await balances.read(1, [ALICE], [])
    reader.block_number = 101
    assert (await balances.read(1, [ALICE], [], is_fresh=True)).block_number == 101
    assert (await balances.read(1, [ALICE], [])).block_number == 101
    assert len(reader.asked) == 2


async def test_no_more_answers_are_kept_than_allowed(clock: FakeClock) -> None:
    reader = FakeReader()
    balances = balances_of(reader, clock, max_entries=2)
    await balances.read(1, [ALICE, BOB], [])
    await balances.read(1, [ALICE], [])
    assert reader.asked == [([ALICE, BOB], []), ([ALICE], [])]


async def test_a_node_that_does_not_answer_makes_balances_unavailable(clock: FakeClock) -> None:
    reader = FakeReader()
    reader.broken = True
    with pytest.raises(Unavailable, match="chain 1"):
        await balances_of(reader, clock).read(1, [ALICE], [])
    with pytest.raises(UnknownChain):
        await balances_of(reader, clock).read(2, [ALICE], [])


async def test_balances_and_allowances_come_in_the_order_of_the_questions(
    world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    payer, usdc = world.payers[0].address, world.config.token("USDC").address
    body = {
        "chain_id": world.config.chain_id,
        "queries": [
            {"address": payer, "token": usdc},
            {"address": payer, "token": f"31337:{NATIVE_TOKEN}"},
            {"address": world.config.escrow, "token": world.config.token_id("USDT")},
        ],
        "allowances": [{"owner": payer, "token": usdc, "spender": world.config.escrow}],
    }
    async with run_monitor(world) as running:
        answer = await running.http.post("/internal/balances", json=body)
        assert answer.status_code == 200, answer.text
        found = answer.json()
    assert found["balances"] == [
        str(await world.balance(payer, "USDC")),
        str(await world.balance(payer, "CRO")),
        "0",
    ]
    assert found["allowances"] == [str(2**255)]
    assert int(found["gas_price"]) > 0
    assert found["block_number"] == world.chain.block_number()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"chain_id": 1}, "unknown_chain"),
        ({"queries": [{"address": "0x" + "ab" * 20, "token": NATIVE_TOKEN}]}, "address_checksum_missing"),
        ({"queries": [{"address": NATIVE_TOKEN, "token": "0x" + "00" * 19 + "01"}]}, "unknown_token"),
        ({"queries": [{"address": NATIVE_TOKEN, "token": f"25:{NATIVE_TOKEN}"}]}, "unknown_token"),
        ({"queries": [{"address": NATIVE_TOKEN, "token": f"31337:0x{'zz' * 20}"}]}, "unknown_token"),
        ({"queries": [{"address": NATIVE_TOKEN, "token": NATIVE_TOKEN}] * 501}, "invalid_request"),
        ({"surprise": 1}, "invalid_request"),
    ],
)
async def test_bad_questions_are_refused_with_a_reason(
    world: EscrowWorld, run_monitor: RunMonitor, change: dict[str, Any], code: str
) -> None:
    async with run_monitor(world) as running:
        body = {"chain_id": world.config.chain_id, "queries": [], "allowances": [], **change}
        answer = await running.http.post("/internal/balances", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_user_sees_the_balances_of_every_configured_token(
    world: EscrowWorld, run_monitor: RunMonitor, clock: FakeClock
) -> None:
    payer = world.payers[2].address

    class Everybody:
        def verify(self, token: str, now: Any) -> Identity:
            return Identity(uuid4(), "alice", payer, frozenset({"user"}), uuid4(), uuid4(), now)

    async with run_monitor(world) as running:
        assert (await running.http.get("/user/balance")).status_code in (401, 503)
        running.runtime.verifier = Everybody()
        headers = {"Authorization": "Bearer token"}
        found = (await running.http.get("/user/balance", headers=headers)).json()
    assert found["address"] == payer
    assert found["unavailable_chains"] == []
    assert [item["symbol"] for item in found["balances"]] == ["CRO", "WCRO", "USDC", "USDT"]
    usdc = found["balances"][2]
    assert usdc["token"] == world.config.token_id("USDC")
    assert (usdc["amount"], usdc["display"], usdc["decimals"]) == ("1000000000", "1000", 6)


async def test_gas_prices_are_told_when_they_change_and_kept(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    async with run_monitor(world) as running:
        (first,) = await broker.probe.collect(GasPriceUpdatedV1, 1)
        world.chain.set_gas_price(77_000_000_000)
        world.chain.mine(1)
        second = (await broker.probe.collect(GasPriceUpdatedV1, 2))[1]
        assert second.base_fee == 77_000_000_000 != first.base_fee
        assert second.gas_price > 0
        (chain,) = (await running.http.get("/gas", params={"limit": 1})).json()
        assert chain["prices"][0]["base_fee"] == "77000000000"
        assert (await running.http.get("/gas", params={"chain_id": 5})).status_code == 422


async def test_gas_prices_are_told_no_more_often_than_set(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    async with run_monitor(world, gas_price_every_seconds=3_600) as running:
        await broker.probe.collect(GasPriceUpdatedV1, 1)
        for wei in (5, 6, 7):
            world.chain.set_gas_price(wei * 10**9)
            world.chain.mine(1)
            await asyncio.sleep(0.3)
        assert await broker.probe.count(GasPriceUpdatedV1) == 1
        rows = await running.runtime.database.fetch("SELECT * FROM gas_price")
        assert len(rows) == 1


async def test_the_position_on_a_chain_and_its_lag_are_public(
    world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    async with run_monitor(world) as running:

        async def at_the_tip() -> Any:
            (found,) = (await running.http.get("/status")).json()
            return found if found["final"] == world.chain.block_number() - 1 else None

        found = await eventually(at_the_tip)
        assert (found["head"], found["final"], found["blocks_behind"]) == (found["tip"], found["tip"] - 1, 0)
        assert found["frozen_reason"] is None

        async def is_shown() -> bool:
            lines = (await running.http.get("/metrics")).text.splitlines()
            behind = 'snowrail_chain_blocks_behind{chain="31337"} 0.0'
            return behind in lines and 'snowrail_chain_node_up{chain="31337"} 1.0' in lines

        await eventually(is_shown)


async def test_old_traces_and_gas_prices_are_forgotten(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    async with run_monitor(world) as running:
        await broker.probe.collect(GasPriceUpdatedV1, 1)
        async with running.runtime.transaction() as tx:
            await tx.execute(
                "INSERT INTO submitted_trace VALUES (1, 'old', 't', now() - interval '4 days'),"
                " (1, 'new', 't', now())"
            )
            await tx.execute("UPDATE gas_price SET observed_at = now() - interval '31 days'")
        running.runtime.wake_task("forget")

        async def forgotten() -> Any:
            rows = await running.runtime.database.fetch("SELECT tx_hash FROM submitted_trace")
            prices = await running.runtime.database.fetch(
                "SELECT * FROM gas_price WHERE observed_at < now() - interval '30 days'"
            )
            return [row["tx_hash"] for row in rows] == ["new"] and not prices

        await eventually(forgotten)
