"""Fetch, judge, publish."""

from dataclasses import replace
from datetime import timedelta

import structlog
from prometheus_client import Counter

from snowrail_events import PriceAnomalyDetectedV1, PriceUpdatedV1
from snowrail_kit.gauges import ExclusiveGauge
from snowrail_kit.unit_of_work import Transaction
from snowrail_rates import store
from snowrail_rates.clients import ProviderFailed
from snowrail_rates.domain import Price, Quote, judge, render
from snowrail_rates.parts import Parts

log = structlog.get_logger("rates")

FETCHES = Counter("snowrail_price_fetches_total", "Fetches from the price provider", ["outcome"])
ANOMALIES = Counter("snowrail_price_anomalies_total", "Prices that were not believed", ["code"])
PRICE_AGE = ExclusiveGauge("snowrail_price_age_seconds", "Age of the believed price", ["symbol", "currency"])


async def refresh(parts: Parts) -> None:
    """Fetch quotes, outside any transaction, and record what is believed."""
    try:
        quotes = await parts.provider.quotes()
        FETCHES.labels("ok").inc()
    except ProviderFailed as error:
        FETCHES.labels("failed").inc()
        log.warning("no prices", reason=str(error))
        quotes = []
    async with parts.transaction() as tx:
        prices = await store.lock_prices(tx)
        kept = await _record(parts, tx, prices, quotes)
        await store.prune(tx, tx.now - timedelta(days=parts.settings.history_days))
    now = parts.clock.now()
    for price in kept.values():
        PRICE_AGE.labels(price.symbol, price.currency).set((now - price.observed_at).total_seconds())


async def _record(
    parts: Parts, tx: Transaction, prices: dict[tuple[str, str], Price], quotes: list[Quote]
) -> dict[tuple[str, str], Price]:
    kept = dict(prices)
    believed: list[Price] = []
    heartbeat = timedelta(seconds=parts.settings.heartbeat_seconds)
    for quote in quotes:
        key = (quote.symbol, quote.currency)
        last = prices.get(key)
        verdict = judge(last, quote, parts.limits, tx.now)
        if verdict.anomaly is not None:
            await _report(tx, quote, last, verdict.anomaly)
        if verdict.price is None:
            continue
        price = verdict.price
        if verdict.anomaly is None and (verdict.changed or tx.now - price.published_at >= heartbeat):
            price = replace(price, published_at=tx.now)
            tx.emit(
                PriceUpdatedV1(
                    symbol=price.symbol,
                    currency=price.currency,
                    price=render(price.price),
                    source="coingecko",
                    observed_at=price.observed_at,
                )
            )
            believed.append(price)
        kept[key] = price
    if quotes:
        await store.save_prices(tx, list(kept.values()))
        await store.remember(tx, believed)
    return kept


async def _report(tx: Transaction, quote: Quote, last: Price | None, code: str) -> None:
    ANOMALIES.labels(code).inc()
    said, before = str(quote.price)[:64], render(last.price) if last else ""
    log.warning("price not believed", symbol=quote.symbol, price=said, last_price=before, code=code)
    await store.record_anomaly(tx, tx.ids.new(), quote.symbol, quote.currency, said, before, code)
    tx.emit(
        PriceAnomalyDetectedV1(
            symbol=quote.symbol,
            currency=quote.currency,
            price=said,
            last_price=before,
            code=code,
            detected_at=tx.now,
        )
    )
