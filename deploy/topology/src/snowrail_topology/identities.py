"""nkeys: the Ed25519 keys by which the broker knows a service. The server holds public keys only."""

import os
from typing import cast

import nkeys


def new_identity() -> tuple[str, str]:
    """Return a new nkey user: its seed, which is secret, and its public key."""
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    public_key = cast("bytes", nkeys.from_seed(bytearray(seed)).public_key)
    return seed.decode(), public_key.decode()
