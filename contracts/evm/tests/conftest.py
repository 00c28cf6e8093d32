"""Fixtures of the contract tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from snowrail_local.servers import Anvil

from .chains import CHAIN_ID, START_TIME, AnvilChain, Chain, RevmChain, chosen_backend
from .world import World

CONTRACTS_FOLDER = Path(__file__).resolve().parents[1]

# Every example resets its chain itself; anvil needs milliseconds per transaction, so it runs fewer of them.
settings.register_profile(
    "pyrevm", deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile(
    "anvil",
    deadline=None,
    max_examples=5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile(chosen_backend())


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The chain of the chosen backend; whoever takes it resets it."""
    if chosen_backend() == "pyrevm":
        yield RevmChain()
        return
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
