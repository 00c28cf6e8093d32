"""A lane whose key is in KMS, over a real chain: whatever KMS does, payments are made once and in order."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from prometheus_client import REGISTRY
from pydantic import SecretStr
from structlog.testing import capture_logs

from snowrail_chain.addresses import checksum_address
from snowrail_chain.signer import read_transaction, recover_sender
from snowrail_events import SettlementExecutedV1
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.emulators.kms import KmsEmulator, Spoilt, build_app
from snowrail_testkit.escrow import EXECUTOR_KEY, EscrowWorld

from .conftest import RunService, items_become, lane_of, settled
from .test_payments import mine_until

RECIPIENT = checksum_address(b"\xaa" * 20)
BUSY = ("ThrottlingException", "KMSInternalException")
MADE_AGAIN = (Spoilt.LATE, Spoilt.CUT, Spoilt.NOT_JSON)
UNUSABLE = {
    Spoilt.OTHER_KEY: "WrongKey",
    Spoilt.OTHER_DIGEST: "WrongKey",
    Spoilt.NOT_DER: "KmsRefused",
    Spoilt.OUT_OF_RANGE: "KmsRefused",
    Spoilt.NO_SIGNATURE: "KmsRefused",
}
"""Answers that are no signature by our key, and what comes of each."""


@pytest_asyncio.fixture(loop_scope="session")
async def kms(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[KmsEmulator, str]]:
    """KMS with the executor's key, its URL, and credentials for it where AWS's tools look for them."""
    emulator = KmsEmulator(bytes.fromhex(EXECUTOR_KEY[2:]), late_seconds=3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", emulator.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", emulator.secret_access_key)
    runner = web.AppRunner(build_app(emulator))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield emulator, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def pay(broker: Broker, world: EscrowWorld, count: int) -> None:
    """Command some payments."""
    orders = [world.order(world.payers[number % 4], RECIPIENT, amount=9) for number in range(count)]
    await asyncio.gather(*(broker.probe.publish(world.execute_command(order)) for order in orders))


def counted(name: str, **labels: str) -> float:
    """The value of a metric, 0 before it was first counted."""
    return REGISTRY.get_sample_value(name, labels) or 0


async def test_a_key_in_kms_pays_once_whatever_kms_answers(
    broker: Broker,
    world: EscrowWorld,
    run_settlement: RunService,
    run_monitor: RunService,
    kms: tuple[KmsEmulator, str],
) -> None:
    emulator, url = kms
    options: dict[str, Any] = {
        "executor_key": SecretStr(""),
        "executor_kms_keys": f"{world.executor}={emulator.key_id}",
        "kms_endpoint": url,
        "kms_timeout_seconds": 2,
        "transaction_items": 1,
        "signer_pause_seconds": 0.25,
    }
    lane = {"chain": "31337", "signer": world.executor}
    async with run_monitor(world), run_settlement(world, **options) as running:
        await lane_of(running)
        emulator.has_high_s = True
        emulator.failures = list(BUSY)
        emulator.spoilt = [*MADE_AGAIN, *UNUSABLE]
        await pay(broker, world, 4)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 4))
        assert not emulator.failures
        assert not emulator.spoilt
        for kind in (*BUSY, "TimeoutError", "JSONDecodeError"):
            assert counted("snowrail_lane_key_calls_failed_total", signer=world.executor, kind=kind) == 1
        for problem in ("WrongKey", "KmsRefused"):
            expected = list(UNUSABLE.values()).count(problem)
            assert counted("snowrail_lane_not_signed_total", **lane, problem=problem) == expected
        await endure_outage(broker, world, running, emulator)
        await settled(broker, running)
        await check(world, running, payments=7)
    assert await world.balance(RECIPIENT, "USDC") == 7 * 9


async def endure_outage(
    broker: Broker, world: EscrowWorld, running: RunningService, emulator: KmsEmulator
) -> None:
    """Take the right to sign away for a while: the lane says so once, keeps its nonce, and goes on later."""
    emulator.failures = ["AccessDeniedException"] * 10_000
    asked = emulator.calls["Sign"]
    with capture_logs() as logs:
        await pay(broker, world, 3)

        async def is_told() -> bool:
            troubles = (await lane_of(running))["troubles"]
            is_tried_again = emulator.calls["Sign"] >= asked + 3
            return is_tried_again and any("AccessDeniedException" in trouble for trouble in troubles)

        await eventually(is_told)
    (told,) = [entry for entry in logs if entry["event"] == "not signed"]
    assert (told["log_level"], told["nonce"]) == ("error", 4)
    assert counted("snowrail_lane_stuck", chain="31337", signer=world.executor) == 1
    await items_become(running, {"executed": 4, "assigned": 1, "created": 2})
    assert await running.runtime.database.fetch("SELECT nonce FROM lane_transaction WHERE nonce > 3") == []
    emulator.failures.clear()
    await mine_until(world, broker.probe.collect(SettlementExecutedV1, 7))

    async def is_calm() -> bool:
        return counted("snowrail_lane_stuck", chain="31337", signer=world.executor) == 0

    await eventually(is_calm)


async def check(world: EscrowWorld, running: RunningService, payments: int) -> None:
    """Every payment has a transaction of its own, by our key, at the next nonce."""
    rows = await running.runtime.database.fetch(
        "SELECT nonce, raw, state FROM lane_transaction ORDER BY nonce"
    )
    assert [row["nonce"] for row in rows] == list(range(payments))
    assert {recover_sender(row["raw"]) for row in rows} == {world.executor}
    assert [read_transaction(row["raw"]).nonce for row in rows] == list(range(payments))
    assert not await running.runtime.database.fetch("SELECT * FROM lane_unsigned")
    assert int(await world.call("eth_getTransactionCount", world.executor, "latest"), 16) == payments
