"""The price provider: CoinGecko's `GET /simple/price` (docs.coingecko.com/reference/simple-price)."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import httpx
import orjson

from snowrail_kit.clock import Clock
from snowrail_rates.domain import Quote

ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
FAILURES_UNTIL_OPEN = 3
OPEN_SECONDS = 30.0
TIMEOUT_SECONDS = 5.0


class ProviderFailed(Exception):
    """The provider gave no usable answer; the message says why."""


class PriceProvider(Protocol):
    """Where quotes come from."""

    async def quotes(self) -> list[Quote]:
        """Return the current quotes. Raises ProviderFailed."""
        ...


class CoinGecko:
    """Fetches all configured prices in one request.

    Retries a bounded number of times, honours `Retry-After`, and after repeated failures leaves the
    provider alone for a while (circuit breaker).
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        key: str | None,
        ids: Mapping[str, str],
        currencies: Sequence[str],
        clock: Clock,
    ) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/api/v3/simple/price"
        self._headers = {"x-cg-demo-api-key": key} if key else {}
        self._ids = dict(ids)
        self._currencies = tuple(currencies)
        self._clock = clock
        self._failures = 0
        self._open_until: datetime | None = None

    async def quotes(self) -> list[Quote]:
        """Return the current quotes.

        Raises:
            ProviderFailed: no usable answer after the retries, or the breaker is open.
        """
        if self._open_until is not None and self._clock.now() < self._open_until:
            raise ProviderFailed("left alone after repeated failures")
        try:
            quotes = self._read(await self._fetch())
        except ProviderFailed:
            self._failures += 1
            if self._failures >= FAILURES_UNTIL_OPEN:
                self._open_until = self._clock.now() + timedelta(seconds=OPEN_SECONDS)
            raise
        self._failures, self._open_until = 0, None
        return quotes

    async def _fetch(self) -> bytes:
        reason = "no attempt was made"
        for attempt in range(ATTEMPTS):
            pause_seconds = FIRST_PAUSE_SECONDS * 2**attempt
            try:
                answer = await self._http.get(
                    self._url,
                    params={
                        "ids": ",".join(sorted(set(self._ids.values()))),
                        "vs_currencies": ",".join(item.lower() for item in self._currencies),
                        "include_last_updated_at": "true",
                        "precision": "full",
                    },
                    headers=self._headers,
                    timeout=TIMEOUT_SECONDS,
                )
            except httpx.TransportError as error:
                reason = f"not reached: {error or type(error).__name__}"
            else:
                if answer.status_code == 200:
                    return answer.content
                reason = f"HTTP {answer.status_code}"
                if answer.status_code == 429:
                    pause_seconds = _retry_after_seconds(answer.headers.get("Retry-After"), pause_seconds)
                elif answer.status_code < 500:
                    break
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(pause_seconds)
        raise ProviderFailed(reason)

    def _read(self, body: bytes) -> list[Quote]:
        try:
            answer: dict[str, dict[str, Any]] = orjson.loads(body)
            return [
                Quote(
                    symbol=symbol,
                    currency=currency,
                    price=Decimal(repr(answer[name][currency.lower()])),
                    updated_at=datetime.fromtimestamp(answer[name]["last_updated_at"], tz=UTC),
                )
                for symbol, name in self._ids.items()
                for currency in self._currencies
                if name in answer and answer[name].get(currency.lower()) is not None
            ]
        except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation, OverflowError) as error:
            raise ProviderFailed(f"the answer cannot be read: {type(error).__name__}") from error


def _retry_after_seconds(header: str | None, otherwise: float) -> float:
    """Return the seconds a `Retry-After` header asks for, bounded."""
    return min(float(header), LONGEST_PAUSE_SECONDS) if header and header.isdigit() else otherwise
