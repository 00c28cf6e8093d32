"""What the orchestrator asks others for: the escrow's holdings, from chain-monitor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from snowrail_events.fields import Atoms
from snowrail_kit.consumer import Unavailable
from snowrail_payment_orchestrator.reconciliation import ChainFigures


@dataclass(frozen=True, slots=True)
class ChainHoldings:
    """Figures by token id at one final block, and the version of the chain's newest fact by then."""

    chain_id: int
    block_number: int
    block_hash: str
    version: int
    figures: dict[str, ChainFigures]


class ChainMonitor(Protocol):
    """Reads the chains on our behalf. Every method raises `Unavailable` when nothing can be known now."""

    async def chains(self) -> list[int]:
        """Ids of the followed chains."""
        ...

    async def holdings(self, chain_id: int) -> ChainHoldings:
        """What the escrow of a chain holds, owes and has paid at the newest final block."""
        ...

    async def have_changed(self, holdings: ChainHoldings) -> bool:
        """Whether the same question about the same block would be answered otherwise now."""
        ...


class _Asset(BaseModel):
    token: str
    held: Atoms
    fees: Atoms
    owed: Atoms
    executed: Atoms


class _Holdings(BaseModel):
    chain_id: int
    block_number: int
    block_hash: str
    version: int
    assets: list[_Asset]


T = TypeVar("T")
_CHANGED: TypeAdapter[bool] = TypeAdapter(bool)
_CHAINS: TypeAdapter[list[int]] = TypeAdapter(list[int])


class HttpChainMonitor:
    """chain-monitor over its internal HTTP interface."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    async def chains(self) -> list[int]:
        """See `ChainMonitor.chains`."""
        return _parse(_CHAINS.validate_json, await self._get("/internal/chains", {}))

    async def holdings(self, chain_id: int) -> ChainHoldings:
        """See `ChainMonitor.holdings`."""
        body = await self._get("/internal/holdings", {"chain_id": chain_id})
        found = _parse(_Holdings.model_validate_json, body)
        return ChainHoldings(
            chain_id=found.chain_id,
            block_number=found.block_number,
            block_hash=found.block_hash,
            version=found.version,
            figures={
                asset.token: ChainFigures(asset.held, asset.fees, asset.owed, asset.executed)
                for asset in found.assets
            },
        )

    async def have_changed(self, holdings: ChainHoldings) -> bool:
        """See `ChainMonitor.have_changed`."""
        parameters = {
            "chain_id": holdings.chain_id,
            "block_number": holdings.block_number,
            "version": holdings.version,
        }
        return _parse(_CHANGED.validate_json, await self._get("/internal/holdings/changed", parameters))

    async def _get(self, path: str, parameters: dict[str, int]) -> bytes:
        try:
            answer = await self._http.get(f"{self._url}{path}", params=parameters)
        except httpx.HTTPError as problem:
            raise Unavailable(f"chain-monitor: {problem!r}") from problem
        if not answer.is_success:
            raise Unavailable(f"chain-monitor answers {answer.status_code}: {answer.text[:200]}")
        return answer.content


def _parse(validate: Callable[[bytes], T], body: bytes) -> T:
    try:
        return validate(body)
    except ValidationError as problem:
        raise Unavailable(f"chain-monitor answers something else: {problem}") from problem
