"""`python -m snowrail_topology`: `apply` the topology, `config` for the server, `identity` for a new key."""

import argparse
import asyncio
import json
import os
import sys

from snowrail_topology.apply import DEFAULT_STREAM_BYTES, apply
from snowrail_topology.identities import new_identity
from snowrail_topology.server_config import server_config


def main() -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(prog="python -m snowrail_topology", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    job = commands.add_parser("apply", help="reads SNOWRAIL_NATS_URL and SNOWRAIL_NATS_SEED")
    job.add_argument("--replicas", type=int, default=1)
    job.add_argument("--stream-bytes", type=int, default=DEFAULT_STREAM_BYTES)
    commands.add_parser("config", help="read {service: public nkey} as JSON, print the authorization block")
    commands.add_parser("identity", help="print a new seed and its public key")
    options = parser.parse_args()
    if options.command == "apply":
        url, seed = os.environ["SNOWRAIL_NATS_URL"], os.environ["SNOWRAIL_NATS_SEED"]
        asyncio.run(apply(url, seed, options.replicas, options.stream_bytes))
    elif options.command == "config":
        sys.stdout.write(server_config(json.load(sys.stdin)))
    else:
        seed, public = new_identity()
        sys.stdout.write(f"{seed}\n{public}\n")


if __name__ == "__main__":
    main()
