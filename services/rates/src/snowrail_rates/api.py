"""HTTP routes: prices as they are believed, with their age."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from snowrail_kit.auth import CurrentIdentity, require_role
from snowrail_kit.problems import not_found
from snowrail_kit.service import parts_of
from snowrail_rates import store
from snowrail_rates.domain import Price, render
from snowrail_rates.parts import Parts

router = APIRouter()
PartsOfService = Annotated[Parts, Depends(parts_of)]


class PriceView(BaseModel):
    """A believed price: a decimal string in units of the currency for one whole token."""

    symbol: str
    currency: str
    price: str
    observed_at: datetime
    age_seconds: float
    stale: bool


class PricePoint(BaseModel):
    """A price at a time."""

    at: datetime
    price: str


class AnomalyView(BaseModel):
    """A price that was not believed."""

    symbol: str
    currency: str
    price: str
    last_price: str
    code: str
    detected_at: datetime


def _view(parts: Parts, price: Price) -> PriceView:
    age_seconds = max(0.0, (parts.clock.now() - price.observed_at).total_seconds())
    return PriceView(
        symbol=price.symbol,
        currency=price.currency,
        price=render(price.price),
        observed_at=price.observed_at,
        age_seconds=age_seconds,
        stale=age_seconds > parts.settings.quote_age_seconds,
    )


@router.get("/prices")
async def list_prices(parts: PartsOfService, _: CurrentIdentity) -> list[PriceView]:
    """Every price that is known."""
    return [_view(parts, price) for price in await store.all_prices(parts.database)]


@router.get("/prices/{symbol}")
async def get_price(
    symbol: str, parts: PartsOfService, _: CurrentIdentity, currency: str = "USD"
) -> PriceView:
    """One token's price."""
    for price in await store.all_prices(parts.database):
        if (price.symbol, price.currency) == (symbol.upper(), currency.upper()):
            return _view(parts, price)
    raise not_found("price")


@router.get("/prices/{symbol}/history")
async def get_history(
    symbol: str,
    parts: PartsOfService,
    _: CurrentIdentity,
    currency: str = "USD",
    hours: Annotated[int, Query(ge=1, le=24 * 90)] = 24,
    limit: Annotated[int, Query(ge=1, le=5_000)] = 500,
) -> list[PricePoint]:
    """Believed prices of the last hours, newest first."""
    since = parts.clock.now() - timedelta(hours=hours)
    points = await store.history(parts.database, symbol.upper(), currency.upper(), since, limit)
    return [PricePoint(at=at, price=render(price)) for at, price in points]


@router.get("/anomalies", dependencies=[Depends(require_role("admin"))])
async def list_anomalies(
    parts: PartsOfService, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[AnomalyView]:
    """The newest prices that were not believed."""
    rows = await store.anomalies(parts.database, limit)
    return [AnomalyView(**{name: row[name] for name in AnomalyView.model_fields}) for row in rows]
