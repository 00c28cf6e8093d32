"""Command line of the deployment: fetch what judges its files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from snowrail_delivery.validators import VALIDATORS, ValidatorUnavailableError, obtain


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit status of the process."""
    parser = argparse.ArgumentParser(prog="python -m snowrail_delivery", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    validators = commands.add_parser("validators", help="fetch the pinned validators of the deployment files")
    validators.add_argument("--cache", type=Path, default=Path(".local/tools"))
    return fetch_validators(parser.parse_args(arguments).cache)


def fetch_validators(cache: Path) -> int:
    """Have every validator in the cache; 1 if one is not to be had."""
    try:
        for name in VALIDATORS:
            print(obtain(name, cache))
    except ValidatorUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
