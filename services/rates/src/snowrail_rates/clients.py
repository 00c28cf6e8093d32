"""The price provider: CoinGecko's `GET /simple/price` (docs.coingecko.com/reference/simple-price)."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx
import orjson

from snowrail_kit.clock import Clock
from snowrail_rates.domain import Quote

ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
"""Who is asked to wait longer does not wait, but leaves the provider alone until then."""
FAILURES_UNTIL_OPEN = 3
OPEN_SECONDS = 30.0
LONGEST_OPEN_SECONDS = 600.0
TIMEOUT_SECONDS = 5.0
MAX_ANSWER_BYTES = 1_000_000


class ProviderFailed(Exception):
    """The provider gave no usable answer; the message says why."""


class LeaveAlone(ProviderFailed):
    """The provider asked not to be asked for a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"asked too often; left alone for {seconds:.0f} s")
        self.seconds = seconds


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
            raise ProviderFailed("left alone for now")
        try:
            quotes = self._read(await self._fetch())
        except LeaveAlone as error:
            pause_seconds = min(error.seconds, LONGEST_OPEN_SECONDS)
            self._open_until = self._clock.now() + timedelta(seconds=pause_seconds)
            raise
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
                async with asyncio.timeout(TIMEOUT_SECONDS), self._ask() as answer:
                    if answer.status_code == 200:
                        return await _bounded_body(answer)
                    reason = f"HTTP {answer.status_code}"
                    if answer.status_code == 429:
                        pause_seconds = self._asked_pause_seconds(answer, pause_seconds)
                    elif answer.status_code < 500:
                        break
            except (httpx.RequestError, TimeoutError) as error:
                reason = f"not reached: {error or type(error).__name__}"
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(pause_seconds)
        raise ProviderFailed(reason)

    def _ask(self) -> AbstractAsyncContextManager[httpx.Response]:
        return self._http.stream(
            "GET",
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

    def _asked_pause_seconds(self, answer: httpx.Response, otherwise: float) -> float:
        asked = _retry_after_seconds(answer.headers.get("Retry-After"), self._clock.now())
        if asked is None:
            return otherwise
        if asked > LONGEST_PAUSE_SECONDS:
            raise LeaveAlone(asked)
        return asked

    def _read(self, body: bytes) -> list[Quote]:
        try:
            answer: dict[str, dict[str, Any]] = orjson.loads(body)
            return [
                Quote(
                    symbol=symbol,
                    currency=currency,
                    price=_price(answer[name][currency.lower()]),
                    updated_at=_moment(answer[name].get("last_updated_at")),
                )
                for symbol, name in self._ids.items()
                for currency in self._currencies
                if name in answer and answer[name].get(currency.lower()) is not None
            ]
        except (ValueError, TypeError, AttributeError) as error:
            raise ProviderFailed(f"the answer cannot be read: {type(error).__name__}") from error


async def _bounded_body(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ProviderFailed(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _price(value: Any) -> Decimal:
    """Return a number as a decimal. What is no number is not believed later, alone among its neighbours."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Decimal(repr(value)) if is_number else Decimal("NaN")


def _moment(value: Any) -> datetime:
    """Return the moment of a Unix time; the oldest there is for what is none, which is then stale."""
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, tz=UTC)


def _retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for: a number or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    if header.isascii() and header.isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError):
        return None
