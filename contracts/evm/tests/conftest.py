"""Fixtures of the contract tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from snowrail_local.servers import Anvil

from .chains import CHAIN_ID, START_TIME, AnvilChain, Chain, RevmChain, chosen_backend
from .world import World

CONTRACTS_FOLDER = Path(__file__).resolve().parents[1]

# Every example resets its chain itself; anvil needs milliseconds per transaction, so it runs fewer of them.
# The same examples in every run; SNOWRAIL_EVM_EXAMPLES asks for more of them, new ones each time.
MORE_EXAMPLES = int(os.environ.get("SNOWRAIL_EVM_EXAMPLES", "0"))
settings.register_profile(
    "pyrevm",
    deadline=None,
    derandomize=not MORE_EXAMPLES,
    max_examples=MORE_EXAMPLES or 100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "anvil",
    deadline=None,
    derandomize=not MORE_EXAMPLES,
    max_examples=MORE_EXAMPLES or 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile(chosen_backend())


@pytest.fixture(scope="session")
def chain(request: pytest.FixtureRequest) -> Chain:
    """The chain of the chosen backend; whoever takes it resets it."""
    return RevmChain() if chosen_backend() == "pyrevm" else request.getfixturevalue("real_chain")


@pytest.fixture(scope="session")
def real_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A real node, whose gas is what a chain charges; whoever takes it resets it."""
    arguments = (
        "--auto-impersonate",
        "--no-mining",
        "--base-fee",
        "0",
        "--hardfork",
        "cancun",
        "--timestamp",
        str(START_TIME - 1),
    )
    folder = tmp_path_factory.mktemp("anvil")
    with Anvil(
        folder, contracts_folder=CONTRACTS_FOLDER, chain_id=CHAIN_ID, extra_arguments=arguments
    ) as node:
        yield AnvilChain(node)


@pytest.fixture
def world(chain: Chain) -> World:
    """A fresh escrow with its tokens and roles."""
    return World(chain)
