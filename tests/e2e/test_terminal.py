"""`snowrail chat` on a pseudo-terminal, as a person uses it."""

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from eth_account import Account

from snowrail_local.stack import Stack
from snowrail_testkit import eventually

from .people import Chain, NewPerson

pytestmark = pytest.mark.timeout(120)

_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>78]|\x1b\][^\x07]*\x07|\r")
_ROWS, _COLUMNS = 60, 140
_PASSWORD = "correct horse"


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.raw = bytearray()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    @property
    def text(self) -> str:
        """All that was written, without what steers the terminal."""
        return _ESCAPES.sub(b"", bytes(self.raw)).decode(errors="replace")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._descriptor, text.encode())

    async def until(self, words: str, start: int = 0, timeout_seconds: float = 40) -> int:
        """Wait until words were written after a place; return the place after them."""

        async def written() -> bool:
            return words in self.text[start:]

        try:
            await eventually(written, timeout_seconds)
        except TimeoutError:
            raise AssertionError(f"{words!r} was not written:\n{self.text[-4000:]}") from None
        return self.text.index(words, start) + len(words)

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, 65_536)
        except OSError:  # the program has ended
            chunk = b""
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self.raw += chunk


@asynccontextmanager
async def terminal(arguments: list[str], environment: dict[str, str]) -> AsyncGenerator[Terminal]:
    """Run `snowrail` on a pseudo-terminal until the block ends."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "snowrail_client.terminal.main",
        *arguments,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    shown = Terminal(process, ours)
    try:
        yield shown
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


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
    async with terminal(arguments, {}) as shown:
        await shown.until("Password of the keystore")
        shown.type(f"{_PASSWORD}\r")
        at = await shown.until(f"You are @{alice.handle}")
        await shown.until("snowrail>", at)
        shown.type("/settings z")
        await shown.until("zone", at)  # offered by the platform's autocomplete
        shown.type("\x03")
        shown.type(f"/pay {bob.address} 5 USDC\r")
        at = await shown.until("Approve USDC\n", at)
        at = await shown.until("transaction on chain", at)
        at = await shown.until("Type yes to sign", at)
        shown.type("yes\r")
        at = await shown.until("Sent transaction 0x", at)
        at = await shown.until("amount     5000000", at)  # what is signed, read from what is signed
        at = await shown.until("Type yes to sign", at)
        shown.type("yes\r")
        at = await shown.until("[final]", at)
        assert "5 USDC" in shown.text[at - 200 : at]
        shown.type("/quit\r")
        assert await asyncio.wait_for(shown.process.wait(), 15) == 0
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
    async with terminal([*arguments, "--no-history"], {"SNOWRAIL_PRIVATE_KEY": key}) as shown:
        at = await shown.until("snowrail>")
        shown.type(f"/pay {bob.address} 1 CRO\r")
        at = await shown.until("Type yes to sign", at)
        shown.type("y\r")
        at = await shown.until("Not signed", at)
        at = await shown.until("snowrail>", at)
        shown.type("/status\r")
        await shown.until("1 open payment", at)
        await asyncio.sleep(1)
        assert shown.text.count("Not signed") == 1
        shown.type("\x04")
        assert await asyncio.wait_for(shown.process.wait(), 15) == 0
    assert key.removeprefix("0x") not in shown.text
    assert await bob.balance("CRO") == 0


async def test_a_wrong_key_is_refused_without_being_shown(stack: Stack, tmp_path: Path) -> None:
    arguments = ["chat", "--origin", stack.origin, "--history", str(tmp_path / "history")]
    async with terminal(arguments, {"SNOWRAIL_PRIVATE_KEY": "0x1234secret"}) as shown:
        await shown.until("No wallet: the key is no private key")
        assert await asyncio.wait_for(shown.process.wait(), 15) == 1
    assert "1234secret" not in shown.text
