"""Identifiers, injected: time-ordered when new, derived where the same cause must give the same id."""

import os
import time
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid5

_NAMESPACE = UUID("6a1f0f5e-3f0c-5c0e-9a53-8d0f4b7b5a10")


class Ids(Protocol):
    """Where a service gets new identifiers from."""

    def new(self) -> UUID:
        """Return a new identifier."""
        ...


class TimeOrderedIds:
    """UUIDv7 (RFC 9562): 48 bits of milliseconds, then randomness, so that indexes grow at one end."""

    def new(self) -> UUID:
        """Return a new UUIDv7."""
        milliseconds = time.time_ns() // 1_000_000
        value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
        value = value & ~(0xF << 76) | (0x7 << 76)
        value = value & ~(0x3 << 62) | (0x2 << 62)
        return UUID(int=value)


def first_id_of(moment: datetime) -> UUID:
    """Return the lowest time-ordered identifier of a moment: earlier ones are below it."""
    return UUID(int=int(moment.timestamp() * 1_000) << 80)


def derived_id(*parts: object) -> UUID:
    """Return the identifier that belongs to these parts, always the same (UUIDv5).

    Used wherever repeating a step must not make a second thing: the payment of an occurrence, the
    message of a client's retry.
    """
    return uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts))
