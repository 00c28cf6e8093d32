"""The committed outputs are what the sources compile to, and wallets hash orders as we do."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.eip712 import Order, encode_order, order_hash, signing_digest, typed_data
from snowrail_evm import (
    DeployedContract,
    Deployment,
    InvalidDeployment,
    UnknownContract,
    UnknownDeployment,
    contract_names,
    load,
    load_deployment,
)
from snowrail_local.servers import ensure_node_modules, node_command

from .chains import CHAIN_ID, address_of
from .world import World

ROOM = Path(__file__).resolve().parents[1]
ORDER_KINDS = "(address,address,address,uint256,uint64,uint64,uint256,uint256,uint64,uint32,uint256,bytes32)"
HASH_ORDER = keccak(f"hashOrder({ORDER_KINDS})".encode())[:4]
SIGNING_DIGEST = keccak(f"signingDigest({ORDER_KINDS})".encode())[:4]
ENTRY: dict[str, Any] = {
    "address": address_of("escrow"),
    "code_hash": f"0x{'1' * 64}",
    "transaction_hash": f"0x{'2' * 64}",
    "block_number": 3,
}
ADDRESSES = st.binary(min_size=20, max_size=20).map(checksum_address)
ORDERS = st.builds(
    Order,
    payer=ADDRESSES,
    recipient=ADDRESSES,
    token=st.one_of(st.just(NATIVE_TOKEN), ADDRESSES),
    amount=st.integers(0, 2**128 - 1),
    valid_after=st.integers(0, 2**64 - 1),
    valid_until=st.integers(0, 2**64 - 1),
    max_gas_price=st.integers(0, 2**256 - 1),
    safety_buffer=st.integers(0, 2**256 - 1),
    min_interval=st.integers(0, 2**64 - 1),
    max_executions=st.integers(0, 2**32 - 1),
    max_fee=st.integers(0, 2**128 - 1),
    salt=st.binary(min_size=32, max_size=32),
)


def run_node(*arguments: str, text: str = "") -> str:
    """Output of a node program in this room."""
    ensure_node_modules(ROOM)
    result = subprocess.run(
        [*node_command(), *arguments],
        cwd=ROOM,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_committed_outputs_are_what_the_sources_compile_to() -> None:
    run_node("compile.mjs", "--check")


def test_every_contract_loads_and_knows_its_code_on_chain(world: World) -> None:
    assert "IntentEscrow" in contract_names()
    for name in contract_names():
        artifact = load(name)
        assert artifact.name == name
        assert artifact.matches(artifact.deployed_bytecode)
        assert not artifact.matches(artifact.deployed_bytecode + b"\0")
    with pytest.raises(UnknownContract, match="IntentEscrow"):
        load("../IntentEscrow")


def test_the_escrow_fits_the_code_size_limit() -> None:
    assert len(load("IntentEscrow").deployed_bytecode) <= 24_576


@given(order=ORDERS)
@settings(max_examples=25)
def test_contract_and_library_hash_alike(world: World, order: Order) -> None:
    encoded = encode_order(order)
    assert world.chain.read(world.escrow, HASH_ORDER + encoded) == order_hash(order)
    digest = signing_digest(order, CHAIN_ID, world.escrow)
    assert world.chain.read(world.escrow, SIGNING_DIGEST + encoded) == digest


def test_wallets_hash_alike() -> None:
    order = Order(
        payer=address_of("payer"),
        recipient=address_of("recipient"),
        token=address_of("token"),
        amount=2**100,
        valid_after=1,
        valid_until=2**63,
        max_gas_price=2**200,
        safety_buffer=7,
        min_interval=86_400,
        max_executions=12,
        max_fee=3,
        salt=bytes(range(32)),
    )
    escrow = address_of("escrow")
    orders = [order, replace(order, token=NATIVE_TOKEN, amount=0), replace(order, salt=b"\xff" * 32)]
    documents = [typed_data(item, chain_id, escrow) for item in orders for chain_id in (25, 338)]
    digests = json.loads(run_node("tests/hash_typed_data.mjs", text=json.dumps(documents)))
    ours = [signing_digest(item, chain_id, escrow) for item in orders for chain_id in (25, 338)]
    assert digests == [f"0x{digest.hex()}" for digest in ours]


def test_deployments_are_written_and_read(tmp_path: Path) -> None:
    contract = DeployedContract(address_of("escrow"), f"0x{'1' * 64}", f"0x{'2' * 64}", 3)
    deployment = Deployment(338, address_of("deployer"), {"IntentEscrow": contract})
    deployment.write(tmp_path / "a" / "338.json")
    assert Deployment.read(tmp_path / "a" / "338.json") == deployment
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["338.json"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"chain_id": 1, "deployer": "0x", "contracts": {"A": {"address": "0x1"}}}',
        '{"chain_id": 1, "deployer": "0x", "contracts": {"A": {"address": "0x1", "code_hash": "", '
        '"transaction_hash": "", "block_number": 1}}}',
        json.dumps({"chain_id": 1, "deployer": "0x", "contracts": {"A": {**ENTRY, "code_hash": "0x1"}}}),
        json.dumps({"chain_id": 1, "deployer": "0x", "contracts": {"A": {**ENTRY, "block_number": -1}}}),
    ],
)
def test_a_wrong_deployment_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "1.json"
    path.write_text(text)
    with pytest.raises(InvalidDeployment):
        Deployment.read(path)


def test_a_chain_without_a_deployment_is_named() -> None:
    with pytest.raises(UnknownDeployment):
        load_deployment(1)


def test_a_committed_deployment_is_of_the_chain_it_is_filed_under(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def package_folder(package: str) -> Path:
        return tmp_path

    monkeypatch.setattr("snowrail_evm.deployments.files", package_folder)
    deployment = Deployment(338, address_of("deployer"), {"IntentEscrow": DeployedContract(**ENTRY)})
    for chain_id in (25, 338):
        deployment.write(tmp_path / "deployments" / f"{chain_id}.json")
    assert load_deployment(338) == deployment
    with pytest.raises(InvalidDeployment, match="338"):
        load_deployment(25)
