"""The nodes of a chain: the preferred one, the next one when it fails, never one of another chain."""

from collections.abc import Callable

import pytest

from snowrail_chain.nodes import ChainNodes
from snowrail_chain.rpc import RpcClient, RpcError, RpcUnavailable, WrongChain
from snowrail_testkit import DevChain

StartChain = Callable[..., DevChain]


async def heads(clients: list[RpcClient | RpcError]) -> list[int]:
    """Height of each node; none of them may be out of reach."""
    found: list[int] = []
    for client in clients:
        assert isinstance(client, RpcClient)
        found.append(await client.block_number())
    return found


async def test_the_preferred_node_is_used_and_the_others_are_asked_apart(start_chain: StartChain) -> None:
    first, second = start_chain(), start_chain()
    second.mine(3)
    nodes = ChainNodes((first.url, second.url), 31337)
    try:
        assert await (await nodes.primary()).block_number() == 0
        assert await heads(await nodes.others()) == [3]
        nodes.suspect()
        assert await (await nodes.primary()).block_number() == 3
        assert await heads(await nodes.others()) == [0]
    finally:
        await nodes.close()


async def test_a_node_that_is_out_of_reach_or_of_another_chain_is_passed_over(
    start_chain: StartChain,
) -> None:
    foreign, gone, good = start_chain(chain_id=338), start_chain(), start_chain()
    gone.anvil.kill()
    good.mine(2)
    nodes = ChainNodes((foreign.url, gone.url, good.url), 31337, timeout_seconds=20)
    try:
        assert await (await nodes.primary()).block_number() == 2
        assert await (await nodes.primary()).block_number() == 2
        assert [type(other) for other in await nodes.others()] == [WrongChain, RpcUnavailable]
    finally:
        await nodes.close()


async def test_the_last_problem_is_raised_when_no_node_answers(start_chain: StartChain) -> None:
    gone, foreign = start_chain(), start_chain(chain_id=338)
    gone.anvil.kill()
    nodes = ChainNodes((gone.url, foreign.url), 31337, timeout_seconds=20)
    with pytest.raises(WrongChain):
        await nodes.primary()
    await nodes.close()


async def test_the_chain_id_is_checked_again_after_a_failure(start_chain: StartChain) -> None:
    chain = start_chain()
    nodes = ChainNodes((chain.url,), 31337)
    try:
        await nodes.primary()
        chain.call("anvil_setChainId", 338)
        await nodes.primary()
        nodes.suspect()
        with pytest.raises(WrongChain):
            await nodes.primary()
    finally:
        await nodes.close()


async def test_the_same_address_twice_is_one_node(start_chain: StartChain) -> None:
    chain = start_chain()
    nodes = ChainNodes((chain.url, chain.url), 31337)
    assert nodes.count == 1
    assert await nodes.others() == []
    await nodes.close()
