"""HTTP route for the owner of the ledger: what the escrow holds, owes and has paid."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from snowrail_chain.config import format_token_id
from snowrail_chain_monitor.escrow_book import IncompleteBook
from snowrail_chain_monitor.store import transactions
from snowrail_chain_monitor.usecases.holdings import Holdings, holdings
from snowrail_chain_monitor.usecases.parts import Parts
from snowrail_kit.problems import Problem
from snowrail_kit.service import parts_of

router = APIRouter()
ServiceParts = Annotated[Parts, Depends(parts_of)]


class AssetView(BaseModel):
    """One token at a final block, in atoms as decimal strings.

    `held` is what the escrow contract has, `fees` what of that are fees it has taken, `owed` what orders
    still have in it by its events, `executed` what executions have moved, fees included.
    """

    token: str
    held: str
    fees: str
    owed: str
    executed: str
    executions: int


class HoldingsView(BaseModel):
    """All configured tokens of a chain at its newest final block, and the version of its newest fact."""

    chain_id: int
    block_number: int
    block_hash: str
    version: int
    assets: list[AssetView]


@router.get("/internal/chains", summary="Followed chains, for other services")
async def list_chains(parts: ServiceParts) -> list[int]:
    """Return the ids of the configured chains."""
    return sorted(parts.followers)


@router.get("/internal/holdings", summary="What the escrow holds, for the owner of the ledger")
async def read_holdings(parts: ServiceParts, chain_id: Annotated[int, Query(gt=0, lt=2**53)]) -> HoldingsView:
    """Return holdings at the newest final block, on which every node that answers agrees."""
    follower = parts.followers.get(chain_id)
    if follower is None:
        raise Problem(422, "unknown_chain", f"Chain {chain_id} is not configured.")
    try:
        return _view(await holdings(parts, follower))
    except IncompleteBook as problem:
        raise Problem(
            409, "incomplete_book", f"Events are missing, backfill the chain: {problem}."
        ) from problem


@router.get("/internal/holdings/changed", summary="Whether holdings of a block would be others now")
async def holdings_have_changed(
    parts: ServiceParts,
    chain_id: Annotated[int, Query(gt=0, lt=2**53)],
    block_number: Annotated[int, Query(ge=0, lt=2**53)],
    version: Annotated[int, Query(ge=0, lt=2**63)],
) -> bool:
    """Return whether anything was told since about a block up to this one: a rollback, a backfill."""
    return await transactions.has_changed(parts.database, chain_id, block_number, version)


def _view(found: Holdings) -> HoldingsView:
    return HoldingsView(
        chain_id=found.chain_id,
        block_number=found.block_number,
        block_hash=found.block_hash,
        version=found.version,
        assets=[
            AssetView(
                token=format_token_id(found.chain_id, asset.token),
                held=str(asset.held),
                fees=str(asset.fees),
                owed=str(asset.owed),
                executed=str(asset.executed),
                executions=asset.executions,
            )
            for asset in found.assets
        ],
    )
