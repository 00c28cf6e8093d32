"""Putting the contracts on a chain, and checking that they are what was recorded.

    python -m snowrail_chain deploy --rpc URL --chain-id 338 --record 338.json --executor 0x…
    python -m snowrail_chain verify --rpc URL --chain-id 338 [--record 338.json]

`deploy` takes the key that pays and administers from SNOWRAIL_DEPLOYER_KEY (0x and 64 hex digits) and ends by
verifying. `verify` reads the committed document of the chain when no record is given. Both end with 0 when
every code hash is as recorded and every contract is what the sources compile to, else with 1.
"""

import argparse
import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from snowrail_chain.addresses import parse_address
from snowrail_chain.deploy import Deployer, DeploymentFailed
from snowrail_chain.rpc import RpcClient, RpcError
from snowrail_chain.signer import LocalSigner
from snowrail_chain.verify import verify_deployment
from snowrail_evm import Deployment, InvalidDeployment, UnknownDeployment, load_deployment


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; those of the process by default.

    Returns:
        Exit status.
    """
    options = _parser().parse_args(arguments)
    try:
        problems = asyncio.run(_run(options))
    except (DeploymentFailed, InvalidDeployment, UnknownDeployment, RpcError, ValueError) as problem:
        problems = [str(problem) or type(problem).__name__]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


async def _run(options: argparse.Namespace) -> list[str]:
    async with RpcClient(options.rpc, options.chain_id) as rpc:
        await rpc.verify_chain_id()
        if options.command == "deploy":
            key = bytes.fromhex(os.environ.get("SNOWRAIL_DEPLOYER_KEY", "").removeprefix("0x"))
            if len(key) != 32:
                return ["SNOWRAIL_DEPLOYER_KEY does not hold 0x and 64 hexadecimal digits"]
            deployer = Deployer(rpc, LocalSigner(key, options.chain_id))
            executors = [parse_address(executor) for executor in options.executor]
            deployment = await deployer.deploy(options.record, executors, test_tokens=options.development)
        elif options.record:
            deployment = Deployment.read(options.record)
        else:
            deployment = load_deployment(options.chain_id)
        problems = await verify_deployment(rpc, deployment)
    if not problems:
        for name, contract in sorted(deployment.contracts.items()):
            print(f"{name} {contract.address} {contract.code_hash}")
    return problems


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="snowrail_chain", description="Deploy and verify the contracts.")
    commands = parser.add_subparsers(dest="command", required=True)
    deploy = commands.add_parser("deploy", help="deploy what is missing, then verify")
    deploy.add_argument("--executor", action="append", default=[], help="account that may ask for executions")
    deploy.add_argument("--development", action="store_true", help="also test tokens and contracts of Safe")
    verify = commands.add_parser("verify", help="compare code hashes with the chain")
    for command in (deploy, verify):
        command.add_argument("--rpc", required=True, help="HTTP address of a node")
        command.add_argument("--chain-id", type=int, required=True, help="chain the node must be of")
        command.add_argument(
            "--record", type=Path, required=command is deploy, help="deployment document of the chain"
        )
    return parser
