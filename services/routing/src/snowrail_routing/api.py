"""HTTP routes: what would be chosen, and the rails for administrators."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from snowrail_events.fields import Atoms, Code, TokenId
from snowrail_kit.auth import CurrentIdentity, require_role
from snowrail_kit.idempotency import IdempotentOperation
from snowrail_kit.service import parts_of
from snowrail_kit.unit_of_work import Transaction
from snowrail_routing import store, usecases
from snowrail_routing.domain import RailState, Request
from snowrail_routing.parts import Parts

router = APIRouter()
PartsOfService = Annotated[Parts, Depends(parts_of)]
ADMIN = Depends(require_role("admin"))


class RouteRequest(BaseModel):
    """A payment to find a rail for; the amount is a decimal string of atoms."""

    model_config = ConfigDict(extra="forbid")

    chain_id: int = Field(ge=1)
    token: TokenId
    amount: Atoms
    excluded_rails: tuple[Code, ...] = Field(default=(), max_length=16)


class RouteView(BaseModel):
    """What would be chosen now, and with what probability in millionths."""

    rail: str | None
    propensity_millionths: int
    eligible_rails: list[str]
    reason: str


class RailView(BaseModel):
    """A rail's switch and breaker.

    `breaker` is `closed`, `open` until `paused_until`, or `half_open` while a few attempts probe the rail.
    """

    rail: str
    enabled: bool
    available: bool
    breaker: Literal["closed", "open", "half_open"]
    failures: int
    paused_until: datetime | None


class RailSwitch(BaseModel):
    """Switch a rail on or off, saying why."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool
    reason: str = Field(min_length=3, max_length=500)


@router.post("/route")
async def preview_route(body: RouteRequest, parts: PartsOfService, _: CurrentIdentity) -> RouteView:
    """Say which rail would carry a payment now. Nothing is stored or learnt."""
    request = Request(body.chain_id, body.token, body.amount, body.excluded_rails)
    choice = await usecases.preview_route(parts, request)
    return RouteView(
        rail=choice.rail,
        propensity_millionths=choice.propensity_millionths,
        eligible_rails=list(choice.eligible_rails),
        reason=choice.reason,
    )


@router.get("/rails", dependencies=[ADMIN])
async def list_rails(parts: PartsOfService) -> list[RailView]:
    """Every rail that was ever configured."""
    async with parts.database.connection() as connection:
        states = await store.rail_states(connection)
    return [_view(rail, state, parts) for rail, state in states.items()]


def _view(rail: str, state: RailState, parts: Parts) -> RailView:
    now = parts.clock.now()
    breaker: Literal["closed", "open", "half_open"] = "closed"
    if state.open_until is not None:
        breaker = "open" if now < state.open_until else "half_open"
    return RailView(
        rail=rail,
        enabled=state.enabled,
        available=any(item.rail == rail and item.available for item in parts.rails),
        breaker=breaker,
        failures=state.failures,
        paused_until=state.open_until,
    )


@router.post("/rails/{rail}", dependencies=[ADMIN], response_model=RailView)
async def switch_rail(
    rail: str,
    body: RailSwitch,
    identity: CurrentIdentity,
    operation: IdempotentOperation,
    parts: PartsOfService,
) -> Response:
    """Switch a rail on or off, closing its breaker. The act is in the audit log."""

    async def work(tx: Transaction) -> RailView:
        await usecases.switch_rail(tx, parts, rail, body.enabled, body.reason, identity)
        return _view(rail, RailState(body.enabled), parts)

    return await operation.run(200, work)
