"""The job that prepares a development chain, on a real one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from snowrail_chain.config import ChainConfig, ChainRegistry
from snowrail_delivery.cli import main
from snowrail_delivery.devchain import CHAIN_ID, EXECUTOR_KEY, WrongDevelopmentChain, prepare
from snowrail_local.servers import Anvil


@pytest.fixture
def chain(tmp_path: Path, repository: Path) -> Iterator[Anvil]:
    """A new development chain."""
    with Anvil(tmp_path / "anvil", contracts_folder=repository / "contracts/evm") as anvil:
        yield anvil


@pytest.fixture
def chains_file(chain: Anvil, tmp_path: Path, repository: Path) -> Path:
    """The committed chains file, with the address that the chain has here."""
    text = (repository / "deploy/devchain/chains.json").read_text()
    path = tmp_path / "chains.json"
    path.write_text(text.replace("devchain:8545", f"{chain.host}:{chain.port}"))
    return path


def described(chains_file: Path) -> ChainConfig:
    """What the services read of the development chain."""
    return ChainRegistry.load(chains_file).chain(CHAIN_ID)


def forget_a_token(chains_file: Path) -> None:
    """Leave the last token out of a chains file."""
    document = json.loads(chains_file.read_text())
    document["chains"][0]["tokens"].pop()
    chains_file.write_text(json.dumps(document))


async def test_the_committed_file_tells_where_the_contracts_of_a_new_chain_are(
    chain: Anvil, chains_file: Path
) -> None:
    await prepare(chains_file)
    usdc = described(chains_file).token("USDC").address
    person = "000000000000000000000000" + chain.call("eth_accounts")[2][2:]
    balance = chain.call("eth_call", {"to": usdc, "data": "0x70a08231" + person}, "latest")
    assert int(balance, 16) == 500 * 10**6
    height = chain.call("eth_blockNumber")
    await prepare(chains_file)
    assert chain.call("eth_blockNumber") == height


async def test_a_file_that_fell_behind_the_contracts_is_refused(chain: Anvil, chains_file: Path) -> None:
    forget_a_token(chains_file)
    with pytest.raises(WrongDevelopmentChain, match="out of date"):
        await prepare(chains_file)


async def test_a_chain_with_other_contracts_is_refused(chain: Anvil, chains_file: Path) -> None:
    deployer, other = chain.call("eth_accounts")[:2]
    chain.call("eth_sendTransaction", {"from": deployer, "to": other, "value": "0x1"})
    with pytest.raises(WrongDevelopmentChain, match="begin with a new chain"):
        await prepare(chains_file)


def test_settlement_of_a_development_installation_holds_the_appointed_key(tmp_path: Path) -> None:
    assert main(["secrets", "--into", str(tmp_path), "--development"]) == 0
    assert (tmp_path / "services/settlement/snowrail_executor_key").read_text() == EXECUTOR_KEY
