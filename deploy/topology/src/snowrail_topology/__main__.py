"""`python -m snowrail_topology`: `apply` the topology, `config` for the server, `identity` for a new key."""

import argparse
import asyncio
import json
import os
import sys
from typing import cast

import nkeys

from snowrail_topology.apply import apply
from snowrail_topology.server_config import server_config


def new_identity() -> tuple[str, str]:
    """Return a new nkey user: its seed, which is secret, and its public key."""
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    public_key = cast("bytes", nkeys.from_seed(bytearray(seed)).public_key)
    return seed.decode(), public_key.decode()


def main() -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(prog="python -m snowrail_topology", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    job = commands.add_parser("apply", help="reads SNOWRAIL_NATS_URL and SNOWRAIL_NATS_SEED")
    job.add_argument("--replicas", type=int, default=1)
    commands.add_parser("config", help="read {service: public nkey} as JSON, print the authorization block")
    commands.add_parser("identity", help="print a new seed and its public key")
    options = parser.parse_args()
    if options.command == "apply":
        asyncio.run(
            apply(os.environ["SNOWRAIL_NATS_URL"], os.environ["SNOWRAIL_NATS_SEED"], options.replicas)
        )
    elif options.command == "config":
        sys.stdout.write(server_config(json.load(sys.stdin)))
    else:
        seed, public = new_identity()
        sys.stdout.write(f"{seed}\n{public}\n")


if __name__ == "__main__":
    main()
