"""Ports for servers that are told to find their own."""

import fcntl
import os
import random
import socket
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

FIRST_PORT = 20_000
LAST_PORT = 32_000
ATTEMPTS = 200
CLAIM_SECONDS = 120.0
"""So long a port is kept for the server that it was found for: others start first."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port nobody listens on, and that no process of this user was given just now.

    The port lies below the usual range of outgoing connections, so that a server which is killed and
    started again finds its port still free.

    Raises:
        OSError: no free port was found in a bounded number of attempts.
    """
    with _claims() as claimed:
        for _ in range(ATTEMPTS):
            port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311 - not a secret
            if port not in claimed and port_is_free(port, host):
                claimed[port] = time.time()
                return port
    raise OSError(f"no free port between {FIRST_PORT} and {LAST_PORT} on {host}")


@contextmanager
def _claims() -> Generator[dict[int, float]]:
    """Lend the ports given away lately with the time of each, to this process alone until the block ends."""
    path = Path(tempfile.gettempdir()) / f"snowrail-ports-{os.getuid()}"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        oldest = time.time() - CLAIM_SECONDS
        claims: dict[int, float] = {}
        for line in file:
            port, _, given_at = line.strip().partition(" ")
            if port.isdigit() and given_at.isdigit() and int(given_at) > oldest:
                claims[int(port)] = int(given_at)
        yield claims
        file.seek(0)
        file.truncate()
        file.writelines(f"{port} {given_at:.0f}\n" for port, given_at in claims.items())


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on this port now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
