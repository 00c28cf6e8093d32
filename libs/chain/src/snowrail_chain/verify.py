"""Whether what a deployment document names really is on the chain, byte for byte."""

from eth_hash.auto import keccak

from snowrail_chain.rpc import RpcClient
from snowrail_evm import Deployment, UnknownContract, load


async def verify_deployment(rpc: RpcClient, deployment: Deployment) -> list[str]:
    """Compare every contract of a deployment with the chain and with the compiled sources.

    Args:
        rpc: Connected client of the chain.
        deployment: What was recorded.

    Returns:
        One line per contract that is missing, differs from its recorded code hash or from the sources; none
        when everything is as recorded.

    Raises:
        RpcError: The node does not answer.
    """
    if deployment.chain_id != rpc.chain_id:
        return [f"the document is of chain {deployment.chain_id}, the node of chain {rpc.chain_id}"]
    problems: list[str] = []
    for name, contract in sorted(deployment.contracts.items()):
        code = await rpc.code(contract.address)
        if not code:
            problems.append(f"{name}: no code at {contract.address}")
            continue
        code_hash = f"0x{keccak(code).hex()}"
        if code_hash != contract.code_hash:
            problems.append(f"{name}: code hash {code_hash} instead of {contract.code_hash}")
            continue
        try:
            if not load(name).matches(code):
                problems.append(f"{name}: not what the sources compile to")
        except UnknownContract:
            problems.append(f"{name}: no such contract in the sources")
    return problems
