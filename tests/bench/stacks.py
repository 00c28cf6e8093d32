"""The platform as it is measured: durable servers, every check in place, limits raised for one client."""

import json
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from snowrail_local.stack import Stack
from snowrail_local.stack_settings import StackSettings

_WHOLE_TOKENS = {"per_transaction": 10**9, "per_day": 10**12}
_LEVEL = {
    "gas_per_day": 10**15,
    "tokens": dict.fromkeys(("CRO", "WCRO", "USDC", "USDT"), _WHOLE_TOKENS),
}

RAISED_LIMITS = {
    # the load comes from one network address, and its users have all just signed up
    "SNOWRAIL_ADDRESS_REQUESTS_PER_MINUTE": "10000000",
    "SNOWRAIL_ADDRESS_HANDSHAKES_PER_MINUTE": "1000000",
    "SNOWRAIL_MAX_UNAUTHENTICATED_PER_ADDRESS": "10000",
    "SNOWRAIL_USER_REQUESTS_PER_HOUR": "10000000",
    "SNOWRAIL_NONCES_PER_NETWORK_PER_MINUTE": "10000",
    "SNOWRAIL_SIGN_INS_PER_NETWORK_PER_MINUTE": "10000",
    "SNOWRAIL_ACCESS_TOKEN_SECONDS": "3600",
    # each of them pays far more often than a person
    "SNOWRAIL_RATE_LIMIT_MULTIPLIER": "100000",
    "SNOWRAIL_PAYMENT_LIMITS": json.dumps({"0": _LEVEL}),
    "SNOWRAIL_FRAUD_HOUR_PAYMENTS": "1000000",
    "SNOWRAIL_FRAUD_DAY_PAYMENTS": "1000000",
    "SNOWRAIL_FRAUD_HOUR_RATIO": "1000000000",
    "SNOWRAIL_FRAUD_DAY_RATIO": "1000000000",
    "SNOWRAIL_FRAUD_FRESH_ACCOUNT_HOURS": "0",
    "SNOWRAIL_FRAUD_NEW_DEVICE_HOURS": "0",
}
"""Documented settings of the services. Nothing is switched off: every check runs, its threshold is higher."""


@contextmanager
def stack_folder() -> Generator[Path]:
    """Lend a folder for a stack, gone afterwards, that the user of the database can enter."""
    folder = Path(tempfile.mkdtemp(prefix="snowrail-bench-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def measured_stack() -> Generator[Stack]:
    """Run a platform with PostgreSQL and NATS that sync to disk, and a chain with a block each second."""
    with stack_folder() as folder:
        settings = replace(StackSettings.on_free_ports(folder), environment=RAISED_LIMITS, keep_chain=False)
        with Stack(settings) as stack:
            yield stack
