"""The node emulator passes on what it does not spoil, and spoils what it is told to."""

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from snowrail_chain.rpc import RpcBadAnswer, RpcClient, RpcRejected, RpcRequest
from snowrail_chain.send import SendOutcome
from snowrail_chain.signer import LocalSigner, Transaction, recover_sender
from snowrail_testkit import DevChain, eventually
from snowrail_testkit.emulators.node import Mode, RunningNode
from snowrail_testkit.escrow import EXECUTOR_KEY
from snowrail_testkit.plugin import StartNodeEmulator

SIGNER = LocalSigner(bytes.fromhex(EXECUTOR_KEY[2:]), 31337)


@pytest_asyncio.fixture(loop_scope="session")
async def node(chain: DevChain, start_node_emulator: StartNodeEmulator) -> RunningNode:
    """An honest node in front of a chain."""
    return await start_node_emulator(chain.url)


@pytest_asyncio.fixture(loop_scope="session")
async def rpc(node: RunningNode) -> AsyncIterator[RpcClient]:
    """A client of it."""
    async with RpcClient(node.url, 31337, timeout_seconds=30) as client:
        yield client


async def signed(rpc: RpcClient, ahead: int = 0, fee_gwei: int = 10) -> bytes:
    """A transfer of one wei at the account's next nonce, or so many further on."""
    nonce = await rpc.transaction_count(SIGNER.address) + ahead
    fee = fee_gwei * 10**9
    transfer = Transaction(31337, nonce, SIGNER.address, 1, b"", 21_000, fee, fee)
    return (await SIGNER.sign_transaction(transfer)).raw


async def receipt_of(rpc: RpcClient, transaction_hash: str) -> dict[str, Any]:
    """The receipt, as soon as there is one."""

    async def receipt() -> Any:
        return (await rpc.receipts([transaction_hash]))[0]

    return await eventually(receipt)


async def test_an_honest_node_passes_everything_on(
    node: RunningNode, rpc: RpcClient, chain: DevChain
) -> None:
    raw = await signed(rpc)
    assert recover_sender(raw) == SIGNER.address
    result = await rpc.send_raw_transaction(raw)
    assert result.outcome is SendOutcome.ACCEPTED
    await receipt_of(rpc, result.transaction_hash)
    assert await rpc.block_number() == chain.block_number()
    numbers = await rpc.batch([RpcRequest("eth_blockNumber"), RpcRequest("eth_chainId")])
    assert numbers == [hex(chain.block_number()), "0x7a69"]
    with pytest.raises(RpcRejected):
        await rpc.call("eth_unheardOf")
    assert node.emulator.calls["eth_sendRawTransaction"] == 1


async def test_a_strict_node_takes_the_next_nonce_only(node: RunningNode, rpc: RpcClient) -> None:
    node.emulator.misbehave(Mode.STRICT_NONCE)
    gap = await rpc.send_raw_transaction(await signed(rpc, ahead=1))
    assert gap.outcome is SendOutcome.NONCE_TOO_HIGH
    raw = await signed(rpc)
    taken = await rpc.send_raw_transaction(raw)
    assert taken.outcome is SendOutcome.ACCEPTED
    await receipt_of(rpc, taken.transaction_hash)
    assert (await rpc.send_raw_transaction(raw)).outcome is SendOutcome.NONCE_TOO_LOW
    low = await rpc.send_raw_transaction(await signed(rpc, ahead=-1, fee_gwei=99))
    assert low.outcome is SendOutcome.NONCE_TOO_LOW


async def test_a_node_without_replacement_keeps_the_first(
    node: RunningNode, rpc: RpcClient, chain: DevChain
) -> None:
    node.emulator.misbehave(Mode.NO_REPLACEMENT)
    chain.set_automine(False)
    try:
        first = await rpc.send_raw_transaction(await signed(rpc))
        second = await rpc.send_raw_transaction(await signed(rpc, fee_gwei=500))
        assert (first.outcome, second.outcome) == (SendOutcome.ACCEPTED, SendOutcome.UNDERPRICED)
        again = await rpc.send_raw_transaction(await signed(rpc))
        assert again.outcome is SendOutcome.ALREADY_KNOWN
        chain.mine()
        await receipt_of(rpc, first.transaction_hash)
    finally:
        chain.set_automine(True)


async def test_an_evicting_node_shows_a_transaction_and_drops_it_in_silence(
    node: RunningNode, rpc: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.emulator.misbehave(Mode.EVICTING, keep_seconds=60, times=1)
    before = await rpc.transaction_count(SIGNER.address, "pending")
    raw = await signed(rpc)
    result = await rpc.send_raw_transaction(raw)
    assert result.outcome is SendOutcome.ACCEPTED
    shown = await rpc.call("eth_getTransactionByHash", result.transaction_hash)
    assert (shown["blockHash"], int(shown["nonce"], 16)) == (None, before)
    assert await rpc.transaction_count(SIGNER.address, "pending") == before + 1
    assert (await rpc.send_raw_transaction(raw)).outcome is SendOutcome.ALREADY_KNOWN
    later = node.emulator.monotonic() + 61
    monkeypatch.setattr(node.emulator, "monotonic", lambda: later)
    assert await rpc.call("eth_getTransactionByHash", result.transaction_hash) is None
    assert await rpc.transaction_count(SIGNER.address, "pending") == before
    assert (await rpc.send_raw_transaction(raw)).outcome is SendOutcome.ACCEPTED
    await receipt_of(rpc, result.transaction_hash)


async def test_a_lagging_node_has_old_blocks_nonces_and_receipts(
    node: RunningNode, rpc: RpcClient, chain: DevChain
) -> None:
    before = await rpc.transaction_count(SIGNER.address)
    chain.mine(3)
    node.emulator.misbehave(Mode.LAGGING, lag_blocks=2)
    newest = chain.block_number() + 1
    result = await rpc.send_raw_transaction(await signed(rpc))

    async def is_mined() -> bool:
        return chain.block_number() == newest

    await eventually(is_mined)
    assert await rpc.block_number() == newest - 2
    assert int((await rpc.call("eth_getBlockByNumber", "latest", False))["number"], 16) == newest - 2
    assert await rpc.call("eth_getBlockByNumber", hex(newest), False) is None
    assert await rpc.call("eth_getBlockByHash", chain.block_hash(newest), False) is None
    assert await rpc.transaction_count(SIGNER.address) == before
    assert await rpc.transaction_count(SIGNER.address, "pending") == before
    assert await rpc.receipts([result.transaction_hash]) == [None]
    assert await rpc.call("eth_getLogs", {"fromBlock": hex(newest - 3), "toBlock": hex(newest)}) == []
    with pytest.raises(RpcRejected, match="header not found"):
        await rpc.balance(SIGNER.address, hex(newest))
    chain.mine(2)
    assert await rpc.transaction_count(SIGNER.address) == before + 1
    await receipt_of(rpc, result.transaction_hash)


async def test_a_lying_node_takes_nothing_and_tells_wrong_nonces_and_receipts(
    node: RunningNode, rpc: RpcClient
) -> None:
    before = await rpc.transaction_count(SIGNER.address)
    raw = await signed(rpc)
    node.emulator.misbehave(Mode.FORGETTING)
    lied = await rpc.send_raw_transaction(raw)
    assert lied.outcome is SendOutcome.ACCEPTED
    assert await rpc.call("eth_getTransactionByHash", lied.transaction_hash) is None
    node.emulator.misbehave(Mode.WRONG_NONCE, nonce_offset=5)
    assert await rpc.transaction_count(SIGNER.address) == before + 5
    node.emulator.misbehave(Mode.WRONG_RECEIPT)
    await rpc.send_raw_transaction(raw)
    receipt = await receipt_of(rpc, lied.transaction_hash)
    assert receipt["status"] == "0x0"
    node.emulator.misbehave()
    assert (await rpc.receipts([lied.transaction_hash]))[0] == {**receipt, "status": "0x1"}


async def test_a_rate_limited_node_answers_429_or_an_error_per_call(
    node: RunningNode, rpc: RpcClient
) -> None:
    node.emulator.misbehave(Mode.RATE_LIMITED, retry_after_seconds=7, times=2)
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.post(node.url, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    with pytest.raises(RpcRejected, match="slow down") as limited:
        await rpc.block_number()
    assert limited.value.code == -32005
    assert await rpc.block_number() >= 0
    node.emulator.misbehave(Mode.CALL_LIMITED)
    (problem,) = await rpc.batch([RpcRequest("eth_blockNumber")])
    assert isinstance(problem, RpcRejected)
    assert problem.code == -32005


@pytest.mark.parametrize("mode", [Mode.LOST_REPLY, Mode.FAILING_AFTERWARDS])
async def test_an_answer_is_lost_after_the_transaction_was_taken(
    node: RunningNode, rpc: RpcClient, mode: Mode
) -> None:
    node.emulator.misbehave(mode, times=1)
    result = await rpc.send_raw_transaction(await signed(rpc))
    assert result.outcome is SendOutcome.UNKNOWN
    await receipt_of(rpc, result.transaction_hash)
    assert node.emulator.behaviour.modes == frozenset()


async def test_the_modes_are_switched_and_shown_over_http(node: RunningNode, chain: DevChain) -> None:
    async with httpx.AsyncClient(base_url=node.url, timeout=30) as http:
        answer = await http.put("/admin/behaviour", json={"modes": ["lagging", "strict_nonce"]})
        assert answer.status_code == 200
        shown = (await http.get("/admin/behaviour")).json()
        assert set(shown["modes"]) == {"lagging", "strict_nonce"}
        assert (await http.put("/admin/behaviour", json={"modes": ["unheard of"]})).status_code == 422
        assert (await http.post("/admin/rollback", json={"blocks": 0})).status_code == 422
        assert (await http.post("/", content=b"{")).status_code == 400
        await http.put("/admin/behaviour", json={})
        chain.mine(5)
        before = chain.block_number()
        assert (await http.post("/admin/rollback", json={"blocks": 4})).status_code == 200
        assert chain.block_number() == before - 4
        assert (await http.post("/admin/rollback", json={"blocks": 99_999})).status_code == 409


async def test_a_deep_rollback_takes_transactions_and_nonces_back(
    node: RunningNode, rpc: RpcClient, chain: DevChain
) -> None:
    before = await rpc.transaction_count(SIGNER.address)
    raw = await signed(rpc)
    result = await rpc.send_raw_transaction(raw)
    await receipt_of(rpc, result.transaction_hash)
    chain.mine(20)
    await node.emulator.rollback(21)
    assert await rpc.transaction_count(SIGNER.address) == before
    assert await rpc.receipts([result.transaction_hash]) == [None]
    assert (await rpc.send_raw_transaction(raw)).outcome is SendOutcome.ACCEPTED


def test_it_runs_as_a_process(chain: DevChain) -> None:
    command = [
        sys.executable,
        "-m",
        "snowrail_testkit.emulators.node",
        "--upstream",
        chain.url,
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
            assert httpx.post(url, json=body, timeout=30).json()["result"] == "0x7a69"
        finally:
            process.terminate()


@pytest.mark.parametrize("spoilt", [b"\x01", b"\x02\xc0", b"\x02\x05"])
def test_bytes_that_are_no_transaction_have_no_sender(spoilt: bytes) -> None:
    with pytest.raises(ValueError, match="not a"):
        recover_sender(spoilt)


async def test_a_dead_chain_behind_is_a_broken_answer(node: RunningNode, rpc: RpcClient) -> None:
    node.emulator.upstream = "http://127.0.0.1:1"
    with pytest.raises(RpcBadAnswer):
        await rpc.block_number()
