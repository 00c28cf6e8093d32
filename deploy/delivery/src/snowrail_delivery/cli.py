"""Command line of the deployment: fetch what judges its files, create an installation's secrets."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

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
        "--executor-key", type=Path, metavar="FILE", help="hex private key; made if not given"
    )
    options = parser.parse_args(arguments)
    if options.command == "validators":
        return fetch_validators(options.cache)
    executor_key = options.executor_key.read_text().strip() if options.executor_key else None
    create(options.into, options.database, executor_key)
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
