"""The profiles of public chains: complete but for what belongs to one installation, and nothing else."""

from pathlib import Path

import pytest

from snowrail_chain.config import ChainConfigError, ChainRegistry

ESCROW = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
EXECUTOR = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
PROFILES = {"cronos-testnet.json": 338, "cronos-mainnet.json": 25}


def configure(monkeypatch: pytest.MonkeyPatch, chain_id: int) -> None:
    """Set what an installation has to say about a chain."""
    for name, value in (
        ("RPC_URL", "https://one.example"),
        ("SECOND_RPC_URL", "https://two.example"),
        ("START_BLOCK", "4000000"),
        ("ESCROW", ESCROW),
        ("EXECUTOR", EXECUTOR),
    ):
        monkeypatch.setenv(f"SNOWRAIL_CHAIN_{chain_id}_{name}", value)


@pytest.mark.parametrize(("file", "chain_id"), PROFILES.items())
def test_a_profile_is_a_chains_file_once_the_environment_is_set(
    repository: Path, monkeypatch: pytest.MonkeyPatch, file: str, chain_id: int
) -> None:
    configure(monkeypatch, chain_id)
    (chain,) = ChainRegistry.load(repository / "deploy/chains" / file).chains
    assert chain.chain_id == chain_id
    assert chain.rpc_urls == ("https://one.example", "https://two.example")
    assert (chain.start_block, chain.escrow, chain.executors) == (4_000_000, ESCROW, (EXECUTOR,))
    assert chain.confirmations >= 6
    assert chain.tokens[0].is_native
    assert chain.transaction_url("0xab") == f"{chain.explorer_url}/tx/0xab"


@pytest.mark.parametrize(("file", "chain_id"), PROFILES.items())
def test_what_is_missing_is_named(
    repository: Path, monkeypatch: pytest.MonkeyPatch, file: str, chain_id: int
) -> None:
    configure(monkeypatch, chain_id)
    monkeypatch.delenv(f"SNOWRAIL_CHAIN_{chain_id}_SECOND_RPC_URL")
    with pytest.raises(ChainConfigError, match=f"SNOWRAIL_CHAIN_{chain_id}_SECOND_RPC_URL"):
        ChainRegistry.load(repository / "deploy/chains" / file)


def test_every_token_of_a_profile_has_its_source(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (repository / "deploy/chains/README.md").read_text()
    for file, chain_id in PROFILES.items():
        configure(monkeypatch, chain_id)
        for token in ChainRegistry.load(repository / "deploy/chains" / file).chain(chain_id).tokens:
            assert token.is_native or f"| {chain_id} | {token.symbol} | `{token.address}` |" in readme
