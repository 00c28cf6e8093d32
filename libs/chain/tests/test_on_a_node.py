"""Deployment, signing, sending and logs against a real node."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey

from snowrail_chain.abi import (
    Executed,
    Execution,
    ExecutionFailed,
    Funded,
    approve_calldata,
    balance_of_calldata,
    decode_escrow_log,
    decode_order_state,
    decode_transfer_log,
    decode_uint256,
    execute_calldata,
    execute_many_calldata,
    explain_revert,
    fund_calldata,
    log_position,
    order_state_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.cli import main
from snowrail_chain.config import ChainConfig, ChainRegistry
from snowrail_chain.deploy import (
    OWN_CONTRACTS,
    SAFE_CONTRACTS,
    TEST_TOKENS,
    Deployer,
    DeploymentFailed,
    describe_chain,
    write_chains_file,
)
from snowrail_chain.eip712 import Order, order_hash, signing_digest
from snowrail_chain.rpc import RpcClient, RpcRejected, WrongChain, quantity
from snowrail_chain.send import SendOutcome
from snowrail_chain.signer import LocalSigner, Transaction
from snowrail_evm import Deployment
from snowrail_local.servers import Anvil

CHAIN_ID = 31337
CONTRACTS_FOLDER = Path(__file__).resolve().parents[3] / "contracts" / "evm"
# Publicly known development keys of anvil, for chains that hold nothing of value.
DEPLOYER_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
EXECUTOR_KEY = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
PAYER_KEY = bytes.fromhex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a")
RECIPIENT = checksum_address(b"\x77" * 20)


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with Anvil(
        tmp_path_factory.mktemp("anvil"), contracts_folder=CONTRACTS_FOLDER, chain_id=CHAIN_ID
    ) as node:
        yield node


@pytest.fixture
async def rpc(anvil: Anvil) -> AsyncIterator[RpcClient]:
    before = anvil.call("evm_snapshot")
    async with RpcClient(anvil.url, CHAIN_ID) as client:
        yield client
    anvil.call("evm_revert", before)


class Stage:
    """A deployed chain, and a way to send transactions on it."""

    def __init__(self, rpc: RpcClient, chain: ChainConfig) -> None:
        self.rpc = rpc
        self.chain = chain
        self.executor = LocalSigner(EXECUTOR_KEY, CHAIN_ID)
        self.payer = LocalSigner(PAYER_KEY, CHAIN_ID)

    def order(self, **terms: Any) -> Order:
        """A native order of the payer, with any term replaced."""
        order = Order(
            payer=self.payer.address,
            recipient=RECIPIENT,
            token=NATIVE_TOKEN,
            amount=1_000,
            valid_after=0,
            valid_until=2**40,
            max_gas_price=10**12,
            safety_buffer=0,
            min_interval=0,
            max_executions=1,
            max_fee=0,
            salt=bytes(32),
        )
        return replace(order, **terms)

    def sign(self, order: Order) -> bytes:
        """The payer's signature of the order."""
        digest = signing_digest(order, CHAIN_ID, self.chain.escrow)
        signature = PrivateKey(PAYER_KEY).sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + 27,))

    async def transaction(self, signer: LocalSigner, to: str, data: bytes, value: int = 0) -> Transaction:
        """A transaction with the signer's next nonce."""
        nonce = await self.rpc.transaction_count(signer.address, "pending")
        return Transaction(CHAIN_ID, nonce, to, value, data, 5_000_000, 10**10, 1)

    async def send(self, signer: LocalSigner, to: str, data: bytes, value: int = 0) -> dict[str, Any]:
        """Sign, send, and wait for the receipt of a node that mines at once."""
        signed = await signer.sign_transaction(await self.transaction(signer, to, data, value))
        result = await self.rpc.send_raw_transaction(signed.raw)
        assert result.outcome is SendOutcome.ACCEPTED, result.message
        assert result.transaction_hash == signed.hash
        while True:
            (receipt,) = await self.rpc.receipts([signed.hash])
            if receipt is not None:
                return receipt


@pytest.fixture
async def stage(rpc: RpcClient, tmp_path: Path, anvil: Anvil) -> AsyncIterator[Stage]:
    deployer = Deployer(rpc, LocalSigner(DEPLOYER_KEY, CHAIN_ID))
    executors = [LocalSigner(EXECUTOR_KEY, CHAIN_ID).address]
    async with anvil.mining_what_is_left():
        deployment = await deployer.deploy(tmp_path / "deployment.json", executors, test_tokens=True)
        await deployer.mint(deployment, [LocalSigner(PAYER_KEY, CHAIN_ID).address], 1_000)
        yield described_stage(rpc, tmp_path, deployment, executors)


def described_stage(rpc: RpcClient, tmp_path: Path, deployment: Deployment, executors: list[str]) -> Stage:
    """The stage on a chain whose description is written and read back."""
    chain = describe_chain(
        deployment,
        name="Snowrail dev chain",
        rpc_urls=[rpc.url],
        executors=executors,
        confirmations=2,
        block_time_seconds=1,
    )
    write_chains_file(tmp_path / "chains.json", [chain])
    assert ChainRegistry.load(tmp_path / "chains.json").chains == (chain,)
    return Stage(rpc, chain)


async def test_a_second_deployment_finds_everything_done(stage: Stage, tmp_path: Path) -> None:
    height = await stage.rpc.block_number()
    deployer = Deployer(stage.rpc, LocalSigner(DEPLOYER_KEY, CHAIN_ID))
    record = tmp_path / "deployment.json"
    deployment = await deployer.deploy(record, list(stage.chain.executors), test_tokens=True)
    await deployer.mint(deployment, [stage.payer.address], 1_000)
    assert await stage.rpc.block_number() == height
    assert deployment == Deployment.read(record)
    assert deployment.contracts["IntentEscrow"].address == stage.chain.escrow


async def test_a_new_executor_and_a_missing_contract_are_added(stage: Stage, tmp_path: Path) -> None:
    record = tmp_path / "deployment.json"
    before = Deployment.read(record)
    kept = {name: entry for name, entry in before.contracts.items() if name != "TestUSDT"}
    replace(before, contracts=kept).write(record)
    deployer = Deployer(stage.rpc, LocalSigner(DEPLOYER_KEY, CHAIN_ID))
    executors = [*stage.chain.executors, stage.payer.address]
    after = await deployer.deploy(record, executors, test_tokens=True)
    assert after.contracts["IntentEscrow"] == before.contracts["IntentEscrow"]
    assert after.contracts["TestUSDT"].address != before.contracts["TestUSDT"].address
    order = stage.order()
    await stage.send(stage.payer, stage.chain.escrow, fund_calldata(order), order.amount)
    receipt = await stage.send(stage.payer, stage.chain.escrow, execute_calldata(Execution(order, 0, b"")))
    assert receipt["status"] == "0x1"


async def test_foreign_code_at_a_recorded_address_stops_the_deployment(
    stage: Stage, tmp_path: Path, anvil: Anvil
) -> None:
    anvil.call("anvil_setCode", stage.chain.escrow, "0x6001")
    deployer = Deployer(stage.rpc, LocalSigner(DEPLOYER_KEY, CHAIN_ID))
    with pytest.raises(DeploymentFailed, match="IntentEscrow"):
        await deployer.deploy(tmp_path / "deployment.json", [], test_tokens=True)


async def test_a_record_of_another_chain_or_an_emptied_chain(
    stage: Stage, tmp_path: Path, anvil: Anvil
) -> None:
    record = tmp_path / "deployment.json"
    replace(Deployment.read(record), chain_id=25).write(tmp_path / "other.json")
    deployer = Deployer(stage.rpc, LocalSigner(DEPLOYER_KEY, CHAIN_ID))
    with pytest.raises(DeploymentFailed, match="chain 25"):
        await deployer.deploy(tmp_path / "other.json", [], test_tokens=False)
    anvil.call("anvil_setCode", stage.chain.escrow, "0x")
    again = await deployer.deploy(record, [], test_tokens=True)
    assert again.contracts["IntentEscrow"].address != stage.chain.escrow
    assert again.contracts["TestUSDC"].address == stage.chain.token("USDC").address


async def test_a_chain_that_does_not_mine_ends_the_deployment_in_time(
    rpc: RpcClient, tmp_path: Path, anvil: Anvil
) -> None:
    anvil.call("evm_setAutomine", False)
    try:
        deployer = Deployer(rpc, LocalSigner(DEPLOYER_KEY, CHAIN_ID), timeout_seconds=0.2)
        with pytest.raises(DeploymentFailed, match="not mined"):
            await deployer.deploy(tmp_path / "deployment.json", [], test_tokens=False)
    finally:
        anvil.call("evm_setAutomine", True)


async def test_what_a_node_forgot_is_sent_again(rpc: RpcClient, tmp_path: Path, anvil: Anvil) -> None:
    anvil.call("evm_setAutomine", False)
    deployer = Deployer(rpc, LocalSigner(DEPLOYER_KEY, CHAIN_ID), timeout_seconds=60)
    deploying = asyncio.create_task(deployer.deploy(tmp_path / "deployment.json", [], test_tokens=False))
    try:
        async with asyncio.timeout(30):
            while int((await asyncio.to_thread(anvil.call, "txpool_status"))["pending"], 16) == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        anvil.call("anvil_dropAllTransactions")
    finally:
        anvil.call("evm_setAutomine", True)
    async with anvil.mining_what_is_left():
        assert (await deploying).contracts["IntentEscrow"].address


async def test_minting_brings_balances_up_to_the_mark(stage: Stage) -> None:
    for token in stage.chain.tokens[1:]:
        answer = await stage.rpc.read(token.address, balance_of_calldata(stage.payer.address))
        assert decode_uint256(answer) == 1_000 * 10**token.decimals


async def test_a_batch_is_paid_and_read_back_from_the_logs(stage: Stage) -> None:
    usdt = stage.chain.token("USDT").address
    native = stage.order()
    dollars = stage.order(token=usdt)
    await stage.send(stage.payer, stage.chain.escrow, fund_calldata(native), native.amount)
    await stage.send(stage.payer, usdt, approve_calldata(stage.chain.escrow, 1_000))
    items = [
        Execution(native, 0, b""),
        Execution(native, 1, b""),
        Execution(dollars, 0, stage.sign(dollars)),
    ]
    receipt = await stage.send(stage.executor, stage.chain.escrow, execute_many_calldata(items))
    logs = await stage.rpc.call("eth_getLogs", {"fromBlock": "0x0", "address": stage.chain.escrow})
    events = [decode_escrow_log(log, stage.chain.escrow) for log in logs]
    known = [event for event in events if event is not None]
    assert isinstance(known[0], Funded)
    assert known[1] == Executed(order_hash(native), 0, RECIPIENT, stage.payer.address, NATIVE_TOKEN, 1_000, 0)
    assert isinstance(known[2], ExecutionFailed)
    assert str(explain_revert(known[2].reason)) == "NotDue(occurrence=1, allowed=1)"
    assert isinstance(known[3], Executed)
    position = log_position(logs[-1])
    assert position.transaction_hash == receipt["transactionHash"]
    assert position.block_hash == receipt["blockHash"]
    transfers = [
        decode_transfer_log(log) for log in receipt["logs"] if log["address"].lower() == usdt.lower()
    ]
    assert [transfer.amount for transfer in transfers if transfer] == [1_000]
    assert await stage.rpc.balance(RECIPIENT) == 1_000
    answer = await stage.rpc.read(stage.chain.escrow, order_state_calldata(order_hash(native)))
    assert decode_order_state(answer).executed == 1


async def test_a_reverting_call_carries_its_reason(stage: Stage) -> None:
    with pytest.raises(RpcRejected) as refusal:
        await stage.rpc.read(stage.chain.escrow, fund_calldata(stage.order()))
    assert explain_revert(refusal.value.data).name == "NotPayer"


async def test_the_node_words_its_refusals_as_classified(stage: Stage, anvil: Anvil) -> None:
    anvil.call("evm_setAutomine", False)
    try:
        nonce = await stage.rpc.transaction_count(stage.payer.address)
        usual = Transaction(CHAIN_ID, nonce, RECIPIENT, 1, b"", 21_000, 10**10, 10**9)
        expected = [
            (usual, SendOutcome.ACCEPTED),
            (usual, SendOutcome.ALREADY_KNOWN),
            (replace(usual, max_fee_per_gas=10**10 - 1), SendOutcome.UNDERPRICED),
            (
                replace(usual, nonce=nonce + 1, max_fee_per_gas=1, max_priority_fee_per_gas=0),
                SendOutcome.UNDERPRICED,
            ),
            (replace(usual, nonce=nonce + 1, value=10**30), SendOutcome.INSUFFICIENT_FUNDS),
        ]
        for transaction, outcome in expected:
            signed = await LocalSigner(PAYER_KEY, CHAIN_ID).sign_transaction(transaction)
            result = await stage.rpc.send_raw_transaction(signed.raw)
            assert result.outcome is outcome, result.message
        anvil.call("evm_mine")
        signed = await LocalSigner(PAYER_KEY, CHAIN_ID).sign_transaction(replace(usual, value=2))
        result = await stage.rpc.send_raw_transaction(signed.raw)
        assert result.outcome is SendOutcome.NONCE_TOO_LOW, result.message
    finally:
        anvil.call("evm_setAutomine", True)


async def test_a_node_of_another_chain_is_refused(anvil: Anvil) -> None:
    with pytest.raises(WrongChain):
        await RpcClient(anvil.url, 338).connect()
    assert quantity(anvil.call("eth_chainId")) == CHAIN_ID


async def test_the_chains_file_is_plain_json(stage: Stage, tmp_path: Path) -> None:
    document = json.loads((tmp_path / "chains.json").read_text())
    assert [token["symbol"] for token in document["chains"][0]["tokens"]] == ["CRO", "WCRO", "USDC", "USDT"]


def command(stage: Stage, *arguments: str) -> int:
    """Run the command line against the node."""
    return main([*arguments, "--rpc", stage.rpc.url, "--chain-id", str(CHAIN_ID)])


async def test_the_command_deploys_and_verifies_every_code_hash(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "31337.json"
    arguments = ("deploy", "--record", str(record), "--development", "--executor", stage.chain.executors[0])
    assert await asyncio.to_thread(command, stage, *arguments) == 1
    assert "SNOWRAIL_DEPLOYER_KEY" in capsys.readouterr().out
    monkeypatch.setenv("SNOWRAIL_DEPLOYER_KEY", f"0x{DEPLOYER_KEY.hex()}")
    assert await asyncio.to_thread(command, stage, *arguments) == 0
    deployment = Deployment.read(record)
    assert set(deployment.contracts) == {*OWN_CONTRACTS, *TEST_TOKENS, *SAFE_CONTRACTS.values()}
    assert await asyncio.to_thread(command, stage, "verify", "--record", str(record)) == 0
    capsys.readouterr()

    contracts = dict(deployment.contracts)
    contracts["SafeL2"] = replace(contracts["SafeL2"], code_hash=f"0x{'1' * 64}")
    contracts["BatchPayout"] = replace(contracts["BatchPayout"], address=stage.payer.address)
    contracts["TestUSDC"] = contracts["TestUSDT"]
    contracts["Nobody"] = contracts["TestUSDT"]
    Deployment(CHAIN_ID, deployment.deployer, contracts).write(record)
    assert await asyncio.to_thread(command, stage, "verify", "--record", str(record)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["BatchPayout", "Nobody", "SafeL2", "TestUSDC"]
    assert await asyncio.to_thread(command, stage, "verify") == 1
    assert "no deployment" in capsys.readouterr().out
    Deployment(25, deployment.deployer, contracts).write(record)
    assert await asyncio.to_thread(command, stage, "verify", "--record", str(record)) == 1
    assert "chain 25" in capsys.readouterr().out
