"""`snowrail chat` on a pseudo-terminal, as a person uses it."""

import asyncio
import json
from pathlib import Path

import pytest
from eth_account import Account

from snowrail_local.stack import Stack
from snowrail_testkit.terminal import pseudo_terminal

from .people import Chain, NewPerson

pytestmark = pytest.mark.timeout(240)

_MODULE = "snowrail_client.terminal.main"
_PASSWORD = "correct horse"


async def test_a_payment_from_the_terminal(
    stack: Stack, chain: Chain, new_person: NewPerson, tmp_path: Path
) -> None:
    account = Account.create()
    key = account.key.hex()
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=50, key=key), new_person())
    keystore = tmp_path / "keystore.json"
    keystore.write_text(json.dumps(account.encrypt(_PASSWORD, iterations=2)))
    keystore.chmod(0o600)
    arguments = ["chat", "--origin", stack.origin, "--chain-id", str(chain.chain_id), "--rpc", chain.url]
    arguments += ["--keystore", str(keystore), "--history", str(tmp_path / "history")]
    async with pseudo_terminal(_MODULE, arguments, {}) as shown:
        await shown.until("Password of the keystore")
        shown.press(f"{_PASSWORD}\r")
        at = await shown.until(f"You are @{alice.handle}")
        await shown.until("snowrail>", at)
        shown.press("/settings z")
        await shown.until("zone", at)  # offered by the platform's autocomplete
        shown.press("\x03")
        shown.press(f"/pay {bob.address} 5 USDC\r")
        at = await shown.until("transaction on chain", at)
        at = await shown.until("Type yes to sign", at)
        shown.press("yes\r")
        at = await shown.until("Sent transaction 0x", at)
        at = await shown.until("amount     5000000", at)  # what is signed, read from what is signed
        at = await shown.until("Type yes to sign", at)
        shown.press("yes\r")
        at = await shown.until("[final]", at)
        assert "5 USDC" in shown.text[at - 200 : at]
        shown.press("/quit\r")
        assert await shown.end() == 0
    written = shown.text
    assert _PASSWORD not in written
    assert key.removeprefix("0x") not in written
    assert _PASSWORD not in (tmp_path / "history").read_text()
    assert await bob.balance("USDC") == 5 * 10**6


async def test_what_is_not_agreed_to_is_not_signed(
    stack: Stack, chain: Chain, new_person: NewPerson, tmp_path: Path
) -> None:
    key = Account.create().key.hex()
    _, bob = await asyncio.gather(new_person(cro=5, key=key), new_person())
    arguments = ["chat", "--origin", stack.origin, "--chain-id", str(chain.chain_id), "--rpc", chain.url]
    async with pseudo_terminal(_MODULE, [*arguments, "--no-history"], {"SNOWRAIL_PRIVATE_KEY": key}) as shown:
        at = await shown.until("snowrail>")
        shown.press(f"/pay {bob.address} 1 CRO\r")
        at = await shown.until("Type yes to sign", at)
        shown.press("y\r")
        at = await shown.until("Not signed", at)
        at = await shown.until("snowrail>", at)
        shown.press("/status\r")
        await shown.until("1 open payment", at)
        await asyncio.sleep(1)
        assert shown.text.count("Not signed") == 1
        shown.press("\x04")
        assert await shown.end() == 0
    assert key.removeprefix("0x") not in shown.text
    assert await bob.balance("CRO") == 0


async def test_a_wrong_key_is_refused_without_being_shown(stack: Stack, tmp_path: Path) -> None:
    arguments = ["chat", "--origin", stack.origin, "--history", str(tmp_path / "history")]
    async with pseudo_terminal(_MODULE, arguments, {"SNOWRAIL_PRIVATE_KEY": "0x1234secret"}) as shown:
        await shown.until("No wallet: the key is no private key")
        assert await shown.end() == 1
    assert "1234secret" not in shown.text
