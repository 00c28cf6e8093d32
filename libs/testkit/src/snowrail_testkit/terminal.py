"""A program on a pseudo-terminal, with keys to press and words to wait for."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>78]|\x1b\][^\x07]*\x07|\r")
_ROWS, _COLUMNS = 60, 140
_POLL_SECONDS = 0.05
_CURSOR_REQUEST, _CURSOR_ANSWER = b"\x1b[6n", b"\x1b[1;1R"


class PseudoTerminal:
    """What a person at a terminal sees and does."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._raw = bytearray()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    @property
    def text(self) -> str:
        """All that was written, without what steers the terminal."""
        return _ESCAPES.sub(b"", bytes(self._raw)).decode(errors="replace")

    def press(self, text: str) -> None:
        """Press keys."""
        os.write(self._descriptor, text.encode())

    async def until(self, words: str, start: int = 0, timeout_seconds: float = 40) -> int:
        """Wait until words were written after a place, and return the place after them.

        Raises:
            AssertionError: they were not written in time.
        """
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while words not in self.text[start:]:
            left = deadline - asyncio.get_running_loop().time()
            assert left > 0, f"{words!r} was not written:\n{self.text[-3000:]}"
            await asyncio.sleep(min(_POLL_SECONDS, left))
        return self.text.index(words, start) + len(words)

    async def end(self, timeout_seconds: float = 40) -> int:
        """Wait for the end of the program and return its status."""
        return await asyncio.wait_for(self.process.wait(), timeout_seconds)

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, 65_536)
        except OSError:  # the program has ended
            chunk = b""
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._raw += chunk
        if _CURSOR_REQUEST in chunk:
            os.write(self._descriptor, _CURSOR_ANSWER)


@asynccontextmanager
async def pseudo_terminal(
    module: str, arguments: Sequence[str], environment: dict[str, str]
) -> AsyncGenerator[PseudoTerminal]:
    """Run a Python module as a program on a pseudo-terminal until the block ends.

    Args:
        environment: variables that it gets beside this process's own.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    terminal = PseudoTerminal(process, ours)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
