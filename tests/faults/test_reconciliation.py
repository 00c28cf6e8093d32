"""Money leaves the escrow behind everybody's back: the asset is halted until an administrator resumes it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from snowrail_chain.abi import deposit_calldata
from snowrail_chain.eip712 import Order
from snowrail_client import SnowrailClient, Wallet
from snowrail_local.dev_accounts import dev_account
from snowrail_local.stack import Stack
from snowrail_local.stack_settings import StackSettings

from .test_platform import (
    FUNDER_INDEX,
    LIMITS,
    TRANSFER,
    USDC,
    World,
    judge,
    prepare_payer,
    wait_until_quiet,
    word,
)

pytestmark = pytest.mark.faults

ADMIN_INDEX = 0
QUICK = {
    "SNOWRAIL_RECONCILE_EVERY_SECONDS": "2",
    "SNOWRAIL_RECONCILE_CHECK_SECONDS": "0.5",
    "SNOWRAIL_RECONCILE_PATIENCE_SECONDS": "20",
    "SNOWRAIL_HALTED_RETRY_SECONDS": "1",
}
HALTED = "SELECT reason FROM halted_asset WHERE token = $1"
COMPARED = "SELECT count(*) FROM reconciliation WHERE differs_since IS NULL AND block_number >= $1"
STATUS = "SELECT status || ' ' || coalesce(code, '') FROM payment ORDER BY requested_at DESC LIMIT 1"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform that compares chain and ledger every few seconds."""
    free = StackSettings.on_free_ports(tmp_path_factory.mktemp("stack"))
    settings = StackSettings(
        state_folder=free.state_folder,
        services=free.services,
        ports=free.ports,
        environment={**LIMITS, **QUICK},
        confirmations=2,
    )
    with Stack(settings) as stack:
        chain = json.loads(stack.settings.chains_file.read_text())["chains"][0]
        yield World(stack, chain)


async def until(check: Callable[[], Awaitable[Any]]) -> Any:
    """Return the first true answer."""
    async with asyncio.timeout(60):
        while not (found := await check()):  # noqa: ASYNC110 - the state of other processes
            await asyncio.sleep(0.2)
        return found


async def chain_call(world: World, method: str, *parameters: Any) -> Any:
    """Call the chain without holding up the event loop."""
    return await asyncio.to_thread(world.stack.anvil.call, method, *parameters)


async def transfer_as(world: World, sender: str, recipient: str, atoms: int) -> None:
    """Have any account, the escrow included, send USDC: what only a broken or hostile contract would do."""
    await chain_call(world, "anvil_impersonateAccount", sender)
    await chain_call(world, "anvil_setBalance", sender, hex(10**18))
    data = TRANSFER + word(recipient) + word(atoms)
    call = {"from": sender, "to": world.usdc, "data": data, "gas": hex(200_000)}
    transaction_hash = await chain_call(world, "eth_sendTransaction", call)

    async def mined() -> Any:
        return await chain_call(world, "eth_getTransactionReceipt", transaction_hash)

    assert (await until(mined))["status"] == "0x1"
    await chain_call(world, "anvil_stopImpersonatingAccount", sender)


async def resume(world: World, token: str) -> httpx.Response:
    """Resume an asset as an administrator, through the public origin."""
    client = SnowrailClient(world.stack.origin)
    try:
        await client.sign_in(Wallet.from_key(dev_account(ADMIN_INDEX).private_key), world.chain["chain_id"])
        headers = {"Authorization": f"Bearer {await client.access_token()}", "Idempotency-Key": "resume-1"}
        body = {"token": token, "reason": "the atoms were given back"}
        url = f"{world.stack.origin}/api/payment-orchestrator/ledger/assets/resume"
        async with httpx.AsyncClient() as http:
            return await http.post(url, json=body, headers=headers)
    finally:
        await client.close()


async def test_money_that_leaves_the_escrow_without_an_event_halts_its_asset(
    world: World, tmp_path: Path
) -> None:
    escrow, token = world.chain["escrow"], f"{world.chain['chain_id']}:{world.usdc}"
    recipient, thief = Wallet.create().address, Wallet.create().address
    funder = Wallet.from_key(dev_account(FUNDER_INDEX).private_key)
    payer = await prepare_payer(world, funder, recipient, asyncio.Lock())
    deposited = Order(
        payer=payer.wallet.address,
        recipient=recipient,
        token=world.usdc,
        amount=USDC,
        valid_after=0,
        valid_until=2**40,
        max_gas_price=10**12,
        safety_buffer=0,
        min_interval=0,
        max_executions=1,
        max_fee=0,
        salt=bytes(31) + b"\x01",
    )
    rpc = payer.client.rpc(world.chain["rpc_urls"][0])
    data = f"0x{deposit_calldata(deposited, USDC).hex()}"
    receipt = await rpc.wait_for_receipt(
        await payer.wallet.send_transaction(
            rpc, {"to": escrow, "value": "0", "data": data, "chain_id": world.chain["chain_id"]}
        )
    )
    await payer.client.connection.post(payer.lines[0], timeout_seconds=60)
    await until(lambda: succeeded(world))
    block = int(receipt["blockNumber"], 16)
    tokens = len(world.chain["tokens"])
    await until(lambda: compared(world, block, tokens))
    assert await world.value("payment-orchestrator", HALTED, token) is None

    await transfer_as(world, escrow, thief, 1)
    reason = await until(lambda: world.value("payment-orchestrator", HALTED, token))
    assert "deficit: -1 atoms" in reason
    await payer.client.connection.post(payer.lines[1], timeout_seconds=60)
    await until(lambda: waits(world))
    await asyncio.sleep(3)
    assert await waits(world)

    await transfer_as(world, thief, escrow, 1)
    await asyncio.sleep(world.chain["confirmations"] + 3)  # until what was given back is final
    answer = await resume(world, token)
    assert answer.status_code == 200, answer.text
    await until(lambda: succeeded(world))
    assert await world.value("payment-orchestrator", HALTED, token) is None
    await wait_until_quiet(world)
    judge(world, tmp_path)
    await payer.client.close()


async def succeeded(world: World) -> bool:
    """Whether the newest payment succeeded."""
    return str(await world.value("payment-orchestrator", STATUS)).startswith("succeeded")


async def waits(world: World) -> bool:
    """Whether the newest payment waits for its asset."""
    return await world.value("payment-orchestrator", STATUS) == "approved asset_halted"


async def compared(world: World, block: int, tokens: int) -> bool:
    """Whether every token was compared at or above a block, without a difference."""
    return await world.value("payment-orchestrator", COMPARED, block) == tokens
