"""`python -m snowrail_local`: the platform on this machine, from the command line."""

import argparse
import logging
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from snowrail_local.dev_accounts import DEPLOYER_INDEX, dev_account, people
from snowrail_local.servers import ServerStartError
from snowrail_local.servers.process import end_process_tree, find_recorded_process
from snowrail_local.servers.unprivileged import forget_folder
from snowrail_local.setup_steps import TEST_TOKEN_UNITS
from snowrail_local.stack import LAUNCHER_RECORD_NAME, Stack
from snowrail_local.stack_settings import StackError, StackSettings
from snowrail_local.status import format_status, read_status

REVIVE_EVERY_SECONDS = 0.5
STOP_TIMEOUT_SECONDS = 90.0
COIN_UNITS = 10_000
PEOPLE_SHOWN = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status of the process."""
    parser = argparse.ArgumentParser(prog="python -m snowrail_local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything and stay until Ctrl-C")
    demo = commands.add_parser(
        "demo", help="have two people pay each other, on the stack that runs or a new one"
    )
    demo.add_argument("--picture", type=Path, metavar="FILE", help="also write a picture of it, as SVG")
    commands.add_parser("status", help="show processes, memory and health")
    commands.add_parser("reset", help="end the stack and forget all its data")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        settings = StackSettings.from_environment()
        if options.command == "up":
            return up(settings)
        if options.command == "reset":
            return reset(settings)
    except (StackError, ServerStartError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.command == "demo":
        from snowrail_local.demo import main as play  # the client takes a second to import

        return play(settings, options.picture)
    print(format_status(read_status(settings)))
    return 0


def up(settings: StackSettings) -> int:
    """Start a stack, keep it running until SIGINT or SIGTERM, and stop it."""
    enough = threading.Event()

    def interrupt(*_: object) -> None:
        if enough.is_set():
            return  # stopping already, which takes bounded time
        enough.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    stack = Stack(settings)
    try:
        stack.start()
        print(describe(stack), flush=True)
        while not enough.wait(REVIVE_EVERY_SECONDS):
            try:
                for name in stack.revive_servers():
                    print(f"{name} had ended and was started again", flush=True)
            except (ServerStartError, StackError) as error:
                print(error, file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        enough.set()
        stack.stop()
    print("stopped; the data is kept, `make reset` forgets it", flush=True)
    return 0


def reset(settings: StackSettings) -> int:
    """End a stack that runs, and remove everything it kept.

    Raises:
        StackError: the folder is no stack's.
    """
    folder = settings.state_folder
    if not folder.exists():
        print(f"there is nothing in {folder}")
        return 0
    if any(folder.iterdir()) and not (folder / "lock").exists():
        raise StackError(f"{folder} was not made by a stack; remove it yourself if you mean it")
    launcher = find_recorded_process(settings.state_folder / LAUNCHER_RECORD_NAME)
    if launcher is not None:
        launcher.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs([launcher], timeout=STOP_TIMEOUT_SECONDS)
        for process in alive:
            end_process_tree(process, signal.SIGKILL, 1.0)
    Stack(settings).end_leftovers()
    forget_folder(folder / "postgres")
    shutil.rmtree(folder)
    print(f"forgot {folder}")
    return 0


def describe(stack: Stack) -> str:
    """Return what a person needs to know about a stack that has just started."""
    settings = stack.settings
    lines = [
        f"ready in {sum(stack.seconds.values()):.1f} s"
        f" ({', '.join(f'{name} {seconds:.1f}' for name, seconds in stack.seconds.items())})",
        "",
        f"origin          {stack.origin}",
        f"chain           {stack.anvil.url} (chain id {stack.anvil.chain_id})",
        f"price provider  {stack.price_provider_url}/docs",
        "HTTP interfaces",
        *(f"  {service.name:<22}{settings.url_of(service)}/docs" for service in settings.services),
        "",
        f"people, with {COIN_UNITS} CRO and {TEST_TOKEN_UNITS} each of WCRO, USDC and USDT"
        " (publicly known keys, for this chain alone):",
        *(f"  {person.address}  {person.private_key}" for person in people()[:PEOPLE_SHOWN]),
        f"  … {len(people())} in all; the administrator is {dev_account(DEPLOYER_INDEX).address}",
        "",
        f"logs            {settings.log_folder}",
        "stop            Ctrl-C, which keeps the data; `make status` shows processes, `make reset` forgets",
    ]
    return "\n".join(lines)
