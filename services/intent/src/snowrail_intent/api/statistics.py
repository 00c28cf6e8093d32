"""What intents add up to, and what gas costs."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from snowrail_events.fields import Atoms
from snowrail_intent.api.answers import ServiceParts
from snowrail_intent.domain.states import TERMINAL, WAITING, Status
from snowrail_intent.store import listing, projections
from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.problems import Problem

router = APIRouter(prefix="/stats", tags=["statistics"])


class TokenTotals(BaseModel):
    """Atoms of one token: paid, by whole intents and by single occurrences, and still to be paid."""

    token: str
    completed_intents: int
    completed_amount: Atoms
    open_intents: int
    open_amount: Atoms


class Overview(BaseModel):
    """How many intents that were made since a moment are in which state.

    `delay_reasons` says of those that wait how many do so for which
    reason; `recurring` are series that go on.

    `success_thousandths` is the share of completed ones among those that ended as completed or failed.
    """

    since: datetime
    intents: int
    by_status: dict[str, int]
    waiting: int
    delay_reasons: dict[str, int]
    recurring: int
    paused: int
    success_thousandths: int | None
    tokens: list[TokenTotals]


class GasSample(BaseModel):
    """Gas prices of one minute, in wei."""

    minute: datetime
    lowest: Atoms
    highest: Atoms
    latest: Atoms


class ChainGas(BaseModel):
    """Gas price of one chain, in wei, at its newest block and by minute."""

    chain_id: int
    gas_price: Atoms
    base_fee: Atoms
    block_number: int
    observed_at: datetime
    samples: list[GasSample]


class GasPrices(BaseModel):
    """Gas prices of every chain that has told any."""

    chains: list[ChainGas]


@router.get("/overview")
async def show_overview(
    identity: CurrentIdentity,
    parts: ServiceParts,
    days: Annotated[int, Query(ge=1, le=366)] = 30,
    scope: Annotated[Literal["mine", "all"], Query(description="`all` needs the role admin.")] = "mine",
) -> Overview:
    """Count the caller's intents of the last days by state, with totals by token."""
    if scope == "all" and "admin" not in identity.roles:
        raise Problem(403, "role_required", "The overview of all users needs the role admin.")
    since = parts.clock.now() - timedelta(days=days)
    async with parts.database.connection() as connection:
        whose = None if scope == "all" else identity.user_id
        rows = await listing.overview(connection, whose, since)
        delay_reasons = await listing.delay_reasons(connection, whose, since)
    by_status: dict[str, int] = {}
    tokens: dict[str, TokenTotals] = {}
    for row in rows:
        status = Status(row["status"])
        by_status[status] = by_status.get(status, 0) + row["intents"]
        totals = tokens.setdefault(
            row["token"],
            TokenTotals(
                token=row["token"], completed_intents=0, completed_amount=0, open_intents=0, open_amount=0
            ),
        )
        totals.completed_amount += row["paid_amount"]
        if status is Status.COMPLETED:
            totals.completed_intents += row["intents"]
        elif status not in TERMINAL:
            totals.open_intents += row["intents"]
            totals.open_amount += row["open_amount"]
    completed, failed = by_status.get(Status.COMPLETED, 0), by_status.get(Status.FAILED, 0)
    return Overview(
        since=since,
        intents=sum(by_status.values()),
        by_status=by_status,
        waiting=sum(by_status.get(status, 0) for status in WAITING),
        delay_reasons=delay_reasons,
        recurring=sum(row["recurring"] for row in rows if row["status"] not in TERMINAL),
        paused=sum(row["paused"] for row in rows),
        success_thousandths=completed * 1000 // (completed + failed) if completed + failed else None,
        tokens=list(tokens.values()),
    )


@router.get("/gas-prices")
async def show_gas_prices(
    _: CurrentIdentity, parts: ServiceParts, hours: Annotated[int, Query(ge=1, le=24)] = 1
) -> GasPrices:
    """Show the gas price of each chain, now and by minute over the last hours."""
    since = parts.clock.now() - timedelta(hours=hours)
    async with parts.database.connection() as connection:
        newest = await projections.fetch_gas_prices(connection)
        rows = await projections.fetch_gas_samples(connection, since)
    samples: dict[int, list[GasSample]] = {}
    for row in rows:
        sample = GasSample(
            minute=row["minute"], lowest=row["lowest"], highest=row["highest"], latest=row["latest"]
        )
        samples.setdefault(row["chain_id"], []).append(sample)
    return GasPrices(
        chains=[
            ChainGas(
                chain_id=price.chain_id,
                gas_price=price.gas_price,
                base_fee=price.base_fee,
                block_number=price.block_number,
                observed_at=price.observed_at,
                samples=samples.get(price.chain_id, []),
            )
            for price in sorted(newest.values(), key=lambda price: price.chain_id)
        ]
    )
