"""The chains file and token ids."""

import json
from pathlib import Path
from typing import Any

import pytest

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.config import (
    ChainConfigError,
    ChainRegistry,
    InvalidTokenId,
    TokenId,
    UnknownChain,
    UnknownToken,
    format_token_id,
    parse_token_id,
)

USDC = "0xc01efAaF7C5C61bEbFAeb358E1161b537b8bC0e0"
ESCROW = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def document(**changes: Any) -> dict[str, Any]:
    """A chains file of one chain, with any field of it replaced."""
    chain: dict[str, Any] = {
        "chain_id": 338,
        "name": "Cronos testnet",
        "rpc_urls": ["http://node.example"],
        "confirmations": 3,
        "block_time_seconds": 0.6,
        "explorer_url": "http://explorer.example/",
        "escrow": ESCROW,
        "tokens": [
            {"symbol": "CRO", "address": NATIVE_TOKEN, "decimals": 18},
            {"symbol": "USDC", "address": USDC, "decimals": 6, "permit": True},
        ],
    }
    return {"chains": [{**chain, **changes}]}


def write(folder: Path, content: Any) -> Path:
    """The document as a file."""
    path = folder / "chains.json"
    path.write_text(json.dumps(content))
    return path


def test_the_file_gives_chains_and_tokens(tmp_path: Path) -> None:
    registry = ChainRegistry.load(write(tmp_path, document()))
    chain = registry.chain(338)
    assert chain.token("usdc").decimals == 6
    assert chain.token_at(NATIVE_TOKEN).is_native
    assert chain.token_id("USDC") == f"338:{USDC}"
    assert registry.token(f"338:{USDC}") == (chain, chain.token("USDC"))
    assert chain.transaction_url("0x1") == "http://explorer.example/tx/0x1"


def test_what_is_not_configured_is_named(tmp_path: Path) -> None:
    registry = ChainRegistry.load(write(tmp_path, document(explorer_url=None)))
    assert registry.chain(338).transaction_url("0x1") is None
    with pytest.raises(UnknownChain, match="25"):
        registry.chain(25)
    with pytest.raises(UnknownToken, match="DOGE"):
        registry.chain(338).token("DOGE")
    with pytest.raises(UnknownToken):
        registry.token(f"338:{ESCROW}")


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": 0},
        {"rpc_urls": []},
        {"confirmations": 0},
        {"escrow": ESCROW.lower()},
        {"tokens": []},
        {"tokens": [{"symbol": "CRO", "address": NATIVE_TOKEN, "decimals": 18}] * 2},
        {"surprise": 1},
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ChainConfigError, match=r"chains\.json"):
        ChainRegistry.load(write(tmp_path, document(**changes)))


def test_a_missing_or_doubled_chain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChainConfigError, match="cannot read"):
        ChainRegistry.load(tmp_path / "absent.json")
    doubled = {"chains": document()["chains"] * 2}
    with pytest.raises(ChainConfigError, match="twice"):
        ChainRegistry.load(write(tmp_path, doubled))


def test_token_ids_have_one_form() -> None:
    assert parse_token_id(f"338:{USDC}") == TokenId(338, USDC)
    assert str(TokenId(338, USDC)) == format_token_id(338, USDC) == f"338:{USDC}"
    assert parse_token_id(f"25:{NATIVE_TOKEN}").is_native
    assert not TokenId(338, USDC).is_native


@pytest.mark.parametrize(
    "text",
    ["", USDC, f"0338:{USDC}", f"-1:{USDC}", f"٣:{USDC}", f"338:{USDC.lower()}", f"338 :{USDC}"],
)
def test_other_forms_are_no_token_ids(text: str) -> None:
    with pytest.raises(InvalidTokenId):
        parse_token_id(text)
