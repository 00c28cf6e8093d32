"""The committed outputs are what the sources compile to, and deployments are read as written."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from snowrail_chain.deploy import OWN_CONTRACTS
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

from .chains import address_of
from .world import World

ROOM = Path(__file__).resolve().parents[1]
ENTRY: dict[str, Any] = {
    "address": address_of("escrow"),
    "code_hash": f"0x{'1' * 64}",
    "transaction_hash": f"0x{'2' * 64}",
    "block_number": 3,
}


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


@pytest.mark.parametrize("name", OWN_CONTRACTS)
def test_our_contracts_fit_the_code_size_limit(name: str) -> None:
    assert len(load(name).deployed_bytecode) <= 24_576


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
