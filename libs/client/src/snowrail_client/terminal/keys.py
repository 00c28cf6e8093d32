"""Where the key of the wallet comes from: a keystore file, or the environment; never shown, never stored."""

import os
import stat
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path

from snowrail_client.wallet import Wallet

KEY_VARIABLE = "SNOWRAIL_PRIVATE_KEY"
PASSWORD_VARIABLE = "SNOWRAIL_KEYSTORE_PASSWORD"  # noqa: S105 - the name of a variable
MAX_KEYSTORE_BYTES = 65_536


class KeyProblem(Exception):
    """There is no usable key; the message says why and never holds the key."""


async def load_wallet(
    keystore: Path | None, environment: MutableMapping[str, str], ask_password: Callable[[], Awaitable[str]]
) -> Wallet:
    """Return the wallet to sign with. The variables with secrets are taken out of the environment.

    Args:
        keystore: file of a keystore (Web3 Secret Storage, version 3); without it the environment has the key.
        ask_password: asks the user for the keystore's password, unseen.

    Raises:
        KeyProblem: there is no key, or it cannot be read.
    """
    key = environment.pop(KEY_VARIABLE, "").strip()
    password = environment.pop(PASSWORD_VARIABLE, "")
    if keystore is None:
        if not key:
            raise KeyProblem(f"name a keystore file with --keystore, or set {KEY_VARIABLE}")
        return _wallet(key)
    content = _read(keystore)
    password = password or await ask_password()
    return _wallet(_decrypt(content, password))


def is_readable_by_others(keystore: Path) -> bool:
    """Return whether a file can be read by more than its owner."""
    return os.name == "posix" and bool(keystore.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _read(keystore: Path) -> str:
    try:
        with keystore.open(encoding="utf-8") as file:
            return file.read(MAX_KEYSTORE_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise KeyProblem(f"the keystore cannot be read: {type(error).__name__}") from error


def _decrypt(content: str, password: str) -> str:
    from eth_account import Account  # takes most of a second to import

    try:
        return "0x" + bytes(Account.decrypt(content, password)).hex()
    except Exception:  # a file that is no keystore fails in any way, and may be quoted by it
        raise KeyProblem("the keystore is no such file, or the password is wrong") from None


def _wallet(key: str) -> Wallet:
    try:
        return Wallet.from_key(key)
    except Exception:  # whatever it says may quote the key
        raise KeyProblem("the key is no private key of an account") from None
