"""Price alerts."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.database import Row
from snowrail_kit.problems import Problem
from snowrail_kit.service import parts_of
from snowrail_notification.parts import Parts
from snowrail_notification.store import alerts as store
from snowrail_notification.store.alerts import NewAlert
from snowrail_notification.usecases import alerts
from snowrail_notification.usecases.rejecting import Rejected

router = APIRouter()
PartsOfService = Annotated[Parts, Depends(parts_of)]
_LISTED = 200


class AlertRequest(BaseModel):
    """A price to be told of, in units of `currency` for one whole token."""

    model_config = ConfigDict(extra="forbid")

    symbol: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    comparison: Literal["above", "below"]
    price: Annotated[str, Field(pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?$")]


class AlertView(BaseModel):
    """A price alert: armed, or fired and done."""

    id: UUID
    symbol: str
    currency: str
    comparison: str
    price: str
    status: str
    created_at: datetime
    changed_at: datetime
    fired_price: str | None


@router.get("/alerts")
async def list_alerts(parts: PartsOfService, identity: CurrentIdentity) -> list[AlertView]:
    """The caller's price alerts, the armed ones first."""
    return [_view(row) for row in await store.of_user(parts.database, identity.user_id, _LISTED)]


@router.post("/alerts", status_code=201)
async def create_alert(body: AlertRequest, parts: PartsOfService, identity: CurrentIdentity) -> AlertView:
    """Arm a price alert. It fires once."""
    alert = NewAlert(
        parts.ids.new(), identity.user_id, body.symbol, body.currency, body.comparison, Decimal(body.price)
    )
    try:
        async with parts.transaction() as tx:
            row = await alerts.arm(tx, parts, alert)
            tx.emit(alerts.alert_event(row, None), version=row["version"])
    except Rejected as rejected:
        raise Problem(422, rejected.code, rejected.detail) from rejected
    return _view(row)


@router.delete("/alerts/{alert_id}", status_code=204)
async def delete_alert(alert_id: UUID, parts: PartsOfService, identity: CurrentIdentity) -> None:
    """Forget a price alert."""
    try:
        async with parts.transaction() as tx:
            row = await alerts.disarm(tx, identity.user_id, alert_id)
            tx.emit(alerts.alert_event(row, None), version=row["version"])
    except Rejected as rejected:
        raise Problem(404, rejected.code, rejected.detail) from rejected


@router.get("/internal/users/{user_id}/alerts")
async def list_alerts_of_user(user_id: UUID, parts: PartsOfService) -> list[AlertView]:
    """A user's price alerts. For other services only."""
    return [_view(row) for row in await store.of_user(parts.database, user_id, _LISTED)]


def _view(row: Row) -> AlertView:
    fired = row["fired_price"]
    return AlertView(
        id=row["alert_id"],
        symbol=row["symbol"],
        currency=row["currency"],
        comparison=row["comparison"],
        price=alerts.price_text(row["price"]),
        status=row["state"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        fired_price=None if fired is None else alerts.price_text(fired),
    )
