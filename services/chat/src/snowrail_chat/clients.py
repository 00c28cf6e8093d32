"""What chat asks others for: balances, from the chain monitor."""

import time
from collections.abc import Collection, Mapping
from typing import Protocol

import httpx
from pydantic import BaseModel, ValidationError

from snowrail_chain.config import ChainConfig
from snowrail_events.fields import Atoms
from snowrail_kit.consumer import Unavailable

MAX_ADDRESSES = 500
"""Wallets of one question."""


class Balances(Protocol):
    """Reads balances on the chain on which commands pay."""

    async def read(self, addresses: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """Return atoms by token id, by EIP-55 address.

        Raises:
            Unavailable: they cannot be read now.
        """
        ...


class _Answer(BaseModel):
    balances: list[Atoms]


class HttpBalances:
    """The chain monitor's internal HTTP interface, asked once per batch and left alone after a failure."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        chain: ChainConfig,
        timeout_seconds: float,
        pause_seconds: float,
    ) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/internal/balances"
        self._chain = chain
        self._timeout_seconds = timeout_seconds
        self._pause_seconds = pause_seconds
        self._paused_until = 0.0

    async def read(self, addresses: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """Return atoms by token id, by EIP-55 address.

        Raises:
            Unavailable: it does not answer in time, did not a moment ago, or answers something else.
        """
        if time.monotonic() < self._paused_until:
            raise Unavailable("the chain monitor did not answer a moment ago")
        asked = sorted(addresses)[:MAX_ADDRESSES]
        queries = [
            {"address": address, "token": token.address} for address in asked for token in self._chain.tokens
        ]
        body = {"chain_id": self._chain.chain_id, "queries": queries, "allowances": []}
        try:
            response = await self._http.post(self._url, json=body, timeout=self._timeout_seconds)
            response.raise_for_status()
            balances = _Answer.model_validate_json(response.content).balances
        except (httpx.HTTPError, ValidationError) as error:
            self._paused_until = time.monotonic() + self._pause_seconds
            raise Unavailable(f"balances: {error or type(error).__name__}") from error
        if len(balances) != len(queries):
            raise Unavailable("the chain monitor answered another number of balances than asked")
        width = len(self._chain.tokens)
        ids = [self._chain.token_id(token.symbol) for token in self._chain.tokens]
        return {
            address: dict(zip(ids, balances[index * width : (index + 1) * width], strict=True))
            for index, address in enumerate(asked)
        }
