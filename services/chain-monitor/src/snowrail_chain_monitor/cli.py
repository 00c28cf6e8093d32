"""Read a stretch of a chain again and tell what was never told.

    python -m snowrail_chain_monitor backfill --chain 31337 --from 1200 [--to 90000]

For blocks below a chain's `start_block`, or after events of the escrow were found to be missing. It runs
beside the service, on its database; the service's relay publishes what it finds. It may be interrupted and
repeated.
"""

import argparse
import asyncio
import sys
import time

from snowrail_chain.cursor import InconsistentBlocks
from snowrail_chain.rpc import RpcError
from snowrail_chain_monitor.app import compose, stop
from snowrail_chain_monitor.settings import Settings
from snowrail_chain_monitor.store import positions
from snowrail_chain_monitor.usecases.backfill import CannotBackfill, Progress, backfill
from snowrail_kit.cli import load_service
from snowrail_kit.clock import SystemClock
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.service import Runtime


async def run(settings: Settings, options: argparse.Namespace) -> Progress:
    """Backfill as the command line says, printing how far it is."""
    runtime = Runtime("chain-monitor", settings, SystemClock(), TimeOrderedIds(), with_database=True)
    await runtime.database.open()
    parts = compose(runtime)
    started = time.monotonic()

    def report(progress: Progress) -> None:
        seconds = max(time.monotonic() - started, 1e-9)
        print(
            f"block {progress.next_block - 1}: {progress.blocks / seconds:,.0f} blocks/s,"
            f" {progress.logs} logs, {progress.told} transactions told",
            flush=True,
        )

    try:
        follower = parts.followers.get(options.chain)
        if follower is None:
            raise CannotBackfill(f"chain {options.chain} is not configured")
        last = options.last
        if last is None:
            last = (await positions.cursor(parts.database, options.chain, runtime.clock.now())).final_number
        return await backfill(
            parts,
            follower,
            options.first,
            last,
            range_blocks=options.range_blocks,
            fetches=options.fetches,
            report=report,
        )
    finally:
        await stop(parts)
        await runtime.database.close()
        await runtime.http.aclose()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m snowrail_chain_monitor", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    backfilling = commands.add_parser("backfill", help="read a stretch again and tell what was never told")
    add = backfilling.add_argument
    add("--chain", type=int, required=True, help="chain id")
    add("--from", type=int, required=True, dest="first", metavar="BLOCK")
    add("--to", type=int, dest="last", metavar="BLOCK", help="the newest final block if not given")
    add("--range-blocks", type=int, default=250, choices=range(1, 1_001), metavar="BLOCKS")
    add("--fetches", type=int, default=4, choices=range(1, 33), metavar="RANGES", help="ranges at once")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Entry point: 0 when everything was read, 1 with the reason otherwise."""
    options = parse(arguments)
    try:
        progress = asyncio.run(run(load_service("snowrail_chain_monitor").settings(), options))
    except (CannotBackfill, InconsistentBlocks, RpcError) as problem:
        print(f"stopped: {problem}", file=sys.stderr)
        return 1
    print(f"done: {progress.blocks} blocks, {progress.logs} logs, {progress.told} transactions told")
    return 0
