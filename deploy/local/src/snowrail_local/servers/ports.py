"""Ports for servers that are told to find their own."""

import random
import socket
from contextlib import closing

FIRST_PORT = 20_000
LAST_PORT = 32_000
ATTEMPTS = 200


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port nobody listens on.

    The port lies below the usual range of outgoing connections, so that a server which is killed and
    started again finds its port still free.

    Raises:
        OSError: no free port was found in a bounded number of attempts.
    """
    for _ in range(ATTEMPTS):
        port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311 - not a secret
        if port_is_free(port, host):
            return port
    raise OSError(f"no free port between {FIRST_PORT} and {LAST_PORT} on {host}")


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on this port now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
