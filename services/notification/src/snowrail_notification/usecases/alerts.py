"""Price alerts: armed by their users, fired once by the first fresh price that passes their mark.

One that fired stays so: it is armed again only by being asked for again, as a new one. A price that already
lies beyond the mark when the alert is made fires it with the next fresh observation.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from snowrail_events import (
    AlertCreateV1,
    AlertDeleteV1,
    AlertUpdatedV1,
    PriceUpdatedV1,
)
from snowrail_kit.database import Row
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.domain.catalogue import Type
from snowrail_notification.domain.wording import Action, Message
from snowrail_notification.metrics import ALERTS_FIRED
from snowrail_notification.parts import Parts
from snowrail_notification.store import alerts as store
from snowrail_notification.store.alerts import NewAlert, Quote
from snowrail_notification.usecases.rejecting import Rejected, reject
from snowrail_notification.usecases.telling import Telling, tell_all


def price_text(price: int | Decimal) -> str:
    """Return a price as a plain decimal, as events carry it."""
    text = f"{Decimal(price):.18f}"
    return text.rstrip("0").rstrip(".")


def alert_event(row: Row, request_id: UUID | None) -> AlertUpdatedV1:
    """Return the fact that an alert is now as its row says."""
    fired = row["fired_price"]
    return AlertUpdatedV1(
        alert_id=row["alert_id"],
        user_id=row["user_id"],
        version=row["version"],
        status=row["state"],
        symbol=row["symbol"],
        currency=row["currency"],
        comparison=row["comparison"],
        price=price_text(row["price"]),
        fired_price=None if fired is None else price_text(fired),
        request_id=request_id,
        changed_at=row["changed_at"],
    )


async def arm(tx: Transaction, parts: Parts, alert: NewAlert) -> Row:
    """Store an alert.

    Raises:
        Rejected: the token is not one of ours, the price is none, or the user has too many alerts.
    """
    symbols = {token.symbol for chain in parts.registry.chains for token in chain.tokens}
    if alert.symbol not in symbols:
        raise Rejected("unknown_token", f"{alert.symbol} is not a token that prices are known of.")
    if not alert.price.is_finite() or alert.price <= 0:
        raise Rejected("bad_price", "The price has to be above zero.")
    row = await store.insert(tx, alert, parts.settings.alerts_per_user)
    if row is None or row["user_id"] != alert.user_id:
        raise Rejected("too_many_alerts", f"There are {parts.settings.alerts_per_user} alerts already.")
    return row


async def disarm(tx: Transaction, user_id: UUID, alert_id: UUID) -> Row:
    """Delete a user's alert. Raises Rejected when there is none."""
    row = await store.delete(tx, user_id, alert_id)
    if row is None:
        raise Rejected("unknown_alert", "There is no such alert.")
    return row


async def create(deliveries: list[Delivery[AlertCreateV1]], tx: Transaction, parts: Parts) -> None:
    """Users asked to be told of a price."""
    for delivery in deliveries:
        event = delivery.event
        alert = NewAlert(
            event.alert_id,
            event.user_id,
            event.symbol,
            event.currency,
            event.comparison,
            Decimal(event.price),
        )
        try:
            row = await arm(tx, parts, alert)
        except Rejected as rejected:
            reject(tx, delivery, "alert_create", rejected)
        else:
            tx.emit(alert_event(row, event.request_id), delivery, version=row["version"])


async def delete(deliveries: list[Delivery[AlertDeleteV1]], tx: Transaction, _: Parts) -> None:
    """Users asked to forget an alert."""
    for delivery in deliveries:
        event = delivery.event
        try:
            row = await disarm(tx, event.user_id, event.alert_id)
        except Rejected as rejected:
            reject(tx, delivery, "alert_delete", rejected)
        else:
            tx.emit(alert_event(row, event.request_id), delivery, version=row["version"])


def news_of(
    quotes: Sequence[Quote], last_observed: Mapping[tuple[str, str], datetime]
) -> tuple[list[Quote], list[Quote]]:
    """Return the quotes that were each newer than all before them, and the newest of each token."""
    newest: dict[tuple[str, str], Quote] = {}
    newer: list[Quote] = []
    for quote in quotes:
        key = (quote.symbol, quote.currency)
        last = newest[key].observed_at if key in newest else last_observed.get(key)
        if last is None or quote.observed_at > last:
            newest[key] = quote
            newer.append(quote)
    return newer, list(newest.values())


async def watch_prices(deliveries: list[Delivery[PriceUpdatedV1]], tx: Transaction, parts: Parts) -> None:
    """Fire the alerts whose mark a price passed. What is stale, or older than known, fires none."""
    quotes = [
        Quote(event.symbol, event.currency, Decimal(event.price), event.observed_at)
        for delivery in deliveries
        for event in (delivery.event,)
    ]
    newer, newest = news_of(quotes, await store.last_observed(tx))
    await store.save_prices(tx, newest)
    fired = await store.fire(tx, newer, tx.now - timedelta(seconds=parts.settings.price_fresh_seconds))
    ALERTS_FIRED.inc(len(fired))
    causes = {delivery.event.symbol: delivery for delivery in deliveries}
    for row in fired:
        tx.emit(alert_event(row, None), causes[row["symbol"]], version=row["version"])
    await tell_all(tx, [_telling(row, causes[row["symbol"]]) for row in fired], parts)


def _telling(row: Row, cause: Delivery[PriceUpdatedV1]) -> Telling:
    symbol, currency = row["symbol"], row["currency"]
    mark, price = price_text(row["price"]), price_text(row["fired_price"])
    message = Message(
        row["user_id"],
        Type.PRICE_ALERT,
        f"{symbol} is {row['comparison']} {mark} {currency}",
        f"{symbol} is at {price} {currency}. This alert is done; ask again to be told again.",
        {"alert_id": str(row["alert_id"]), "symbol": symbol, "price": price, "mark": mark},
        (Action("Again", f"/alert {symbol} {row['comparison']} {mark}"),),
    )
    return Telling(derived_id("price alert", row["alert_id"]), message, cause)
