"""The contracts and test tokens of a development chain.

A chain that begins anew gives the same contracts the same addresses, so the file that describes it to the
services, `deploy/devchain/chains.json`, is committed.
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from snowrail_chain.addresses import checksum_address
from snowrail_chain.config import ChainConfig, ChainRegistry
from snowrail_chain.deploy import Deployer, describe_chain
from snowrail_chain.rpc import RpcClient
from snowrail_chain.signer import LocalSigner

CHAIN_ID = 31337
DEPLOYER_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Publicly known key of anvil's first account: worth nothing anywhere else."""
EXECUTOR_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
"""Publicly known key of anvil's second account."""
TEST_TOKEN_UNITS = 500


class WrongDevelopmentChain(Exception):
    """The chain is not the one that the chains file describes."""


async def prepare(chains_file: Path) -> None:
    """Deploy to a new chain what the chains file says is there, and give every funded account test tokens.

    A chain on which it all stands already is left alone.

    Raises:
        WrongDevelopmentChain: something else stands there; says how to begin anew.
        DeploymentFailed: a transaction failed.
        RpcError: the chain does not answer.
    """
    described = ChainRegistry.load(chains_file).chain(CHAIN_ID)
    deployer = LocalSigner(bytes.fromhex(DEPLOYER_KEY[2:]), CHAIN_ID)
    async with RpcClient(described.rpc_urls[0], CHAIN_ID) as rpc:
        if await rpc.transaction_count(deployer.address) == 0:
            found = await _deploy(rpc, deployer, described)
            if found != described:
                raise WrongDevelopmentChain(
                    f"{chains_file} is out of date; it has to say: {found.model_dump_json(indent=1)}"
                )
        addresses = [described.escrow, *(token.address for token in described.tokens if not token.is_native)]
        if not all(await asyncio.gather(*(rpc.code(address) for address in addresses))):
            raise WrongDevelopmentChain(
                f"{described.rpc_urls[0]} holds other contracts than {chains_file}; begin with a new chain"
            )


async def _deploy(rpc: RpcClient, deployer: LocalSigner, described: ChainConfig) -> ChainConfig:
    executor = LocalSigner(bytes.fromhex(EXECUTOR_KEY[2:]), CHAIN_ID).address
    work = Deployer(rpc, deployer)
    with TemporaryDirectory() as folder:
        deployment = await work.deploy(Path(folder) / "deployment.json", [executor], test_tokens=True)
    accounts = [checksum_address(bytes.fromhex(account[2:])) for account in await rpc.call("eth_accounts")]
    people = [account for account in accounts if account not in (deployer.address, executor)]
    await work.mint(deployment, people, TEST_TOKEN_UNITS)
    found = describe_chain(
        deployment,
        name=described.name,
        rpc_urls=described.rpc_urls,
        ws_url=described.ws_url,
        executors=[executor],
        confirmations=described.confirmations,
        block_time_seconds=described.block_time_seconds,
    )
    return found.model_copy(update={"start_block": described.start_block})
