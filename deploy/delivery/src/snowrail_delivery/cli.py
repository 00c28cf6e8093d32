"""Command line of the deployment: the judges of its files, an installation's secrets, a development chain."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from snowrail_delivery.devchain import EXECUTOR_KEY, prepare
from snowrail_delivery.secrets import create
from snowrail_delivery.validators import VALIDATORS, ValidatorUnavailableError, obtain


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit status of the process."""
    parser = argparse.ArgumentParser(prog="python -m snowrail_delivery", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    validators = commands.add_parser("validators", help="fetch the pinned validators of the deployment files")
    validators.add_argument("--cache", type=Path, default=Path(".local/tools"))
    secrets = commands.add_parser("secrets", help="create what is missing of an installation's secrets")
    secrets.add_argument("--into", type=Path, default=Path(".local/secrets"))
    secrets.add_argument(
        "--database", default="postgres:5432", metavar="HOST:PORT", help="as the services see it"
    )
    secrets.add_argument(
        "--development", action="store_true", help="settlement signs with a publicly known development key"
    )
    devchain = commands.add_parser("devchain", help="put contracts and test tokens on a development chain")
    devchain.add_argument("--chains", type=Path, required=True, help="the chains file that describes it")
    options = parser.parse_args(arguments)
    if options.command == "validators":
        return fetch_validators(options.cache)
    if options.command == "secrets":
        create(options.into, options.database, EXECUTOR_KEY if options.development else None)
    else:
        asyncio.run(prepare(options.chains))
    return 0


def fetch_validators(cache: Path) -> int:
    """Have every validator in the cache; 1 if one is not to be had."""
    try:
        for name in VALIDATORS:
            print(obtain(name, cache))
    except ValidatorUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
