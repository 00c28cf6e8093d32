"""`snowrail chat`: talk to Snowrail from a terminal."""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from snowrail_client.client import SnowrailClient
from snowrail_client.errors import SnowrailError
from snowrail_client.terminal.keys import KEY_VARIABLE, KeyProblem, is_readable_by_others, load_wallet
from snowrail_client.terminal.output import complain, tell
from snowrail_client.terminal.screen import Screen

_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_chat(options))
    except KeyProblem as problem:
        return _fail(f"No wallet: {problem}.")
    except (SnowrailError, aiohttp.ClientError, TimeoutError, OSError) as error:
        return _fail(f"Snowrail cannot be reached at {options.origin}: {error or type(error).__name__}")
    except (KeyboardInterrupt, EOFError):
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="snowrail", description="Snowrail on the command line.")
    commands = parser.add_subparsers(required=True)
    chat = commands.add_parser(
        "chat",
        help="talk to Snowrail",
        description=f"Talk to Snowrail. The wallet's key comes from --keystore or from {KEY_VARIABLE}.",
    )
    environment = os.environ.get
    chat.add_argument("--origin", default=environment("SNOWRAIL_ORIGIN", "http://127.0.0.1:8080"))
    chat.add_argument("--chain-id", type=int, default=int(environment("SNOWRAIL_CHAIN_ID", "31337")))
    chat.add_argument(
        "--rpc", default=environment("SNOWRAIL_RPC_URL"), help="node for the wallet's own transactions"
    )
    chat.add_argument("--keystore", type=Path, default=environment("SNOWRAIL_KEYSTORE"))
    chat.add_argument("--history", type=Path, default=_history_file(), help="where typed lines are kept")
    chat.add_argument("--no-history", action="store_true", help="keep no typed lines")
    return parser


def _history_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "snowrail" / "history"


async def _chat(options: argparse.Namespace) -> None:
    if options.keystore is not None and options.keystore.exists() and is_readable_by_others(options.keystore):
        complain(f"{options.keystore} can be read by others: chmod 600 it.")
    wallet = await load_wallet(options.keystore, os.environ, _ask_password)
    async with SnowrailClient(options.origin, device_label=f"terminal on {socket.gethostname()}") as client:
        user = await client.sign_in(wallet, options.chain_id)
        await client.connect()
        tell(f"You are @{user.handle}, {user.address}. /help shows what you can do, /quit leaves.")
        rpc = None if options.rpc is None else client.rpc(options.rpc)
        await Screen(client, wallet, rpc, _history(options)).run()


async def _ask_password() -> str:
    prompt: PromptSession[str] = PromptSession()
    return await prompt.prompt_async("Password of the keystore: ", is_password=True)


def _history(options: argparse.Namespace) -> History:
    if options.no_history:
        return InMemoryHistory()
    file: Path = options.history
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    return FileHistory(str(file))


def _fail(message: str) -> int:
    complain(message)
    return _FAILED


if __name__ == "__main__":
    sys.exit(main())
