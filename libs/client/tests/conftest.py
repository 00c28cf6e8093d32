"""A stand-in for the platform, and a client that is signed in to it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from snowrail_client import SnowrailClient, Wallet

from .fake_platform import FakePlatform, running_platform

DEV_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Publicly known key of the first development account."""


@pytest_asyncio.fixture(loop_scope="session")
async def platform() -> AsyncIterator[FakePlatform]:
    """The stand-in."""
    async with running_platform() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def client(platform: FakePlatform) -> AsyncIterator[SnowrailClient]:
    """A signed-in client."""
    async with SnowrailClient(platform.origin) as signed_in:
        await signed_in.sign_in(Wallet.from_key(DEV_KEY), 31337)
        yield signed_in
