"""A price provider that follows CoinGecko's documented `GET /api/v3/simple/price`, and fails on demand.

Run it: `python -m snowrail_testkit.emulators.prices --port 8190`. In a test, `build_app(PriceEmulator())` is
an ASGI application for `httpx.ASGITransport`. What it answers is switched over `/admin/…`, which the real
provider does not have.
"""

import argparse
import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

USD_PRICES: dict[str, Decimal] = {
    "crypto-com-chain": Decimal("0.0921"),
    "usd-coin": Decimal("0.9998"),
    "tether": Decimal("1.0002"),
}
UNITS_PER_USD: dict[str, Decimal] = {
    "usd": Decimal(1),
    "eur": Decimal("0.92"),
    "gbp": Decimal("0.79"),
    "inr": Decimal("86.5"),
}
MAX_IDS = 250


class Mode(enum.StrEnum):
    """What the provider does with requests."""

    NORMAL = "normal"
    RATE_LIMITED = "rate_limited"
    """429 with Retry-After."""
    SERVER_ERROR = "server_error"
    """503, as its edge answers when it is down."""
    STALE = "stale"
    """Prices that were last updated long ago."""
    ANOMALOUS = "anomalous"
    """Prices multiplied by a factor."""
    MALFORMED = "malformed"
    """200 with a body that is no JSON."""
    SLOW = "slow"
    """The right answer, too late."""


class Behaviour(BaseModel):
    """The mode and its figures, as the admin route takes them.

    `failures`: how many requests the mode applies to before it is normal again; None for ever.
    """

    mode: Mode = Mode.NORMAL
    failures: int | None = Field(default=None, ge=1)
    retry_after_seconds: int = Field(default=30, ge=0)
    stale_seconds: int = Field(default=3_600, ge=0)
    factor: Decimal = Field(default=Decimal(10), gt=0)
    delay_seconds: float = Field(default=10, ge=0, le=60)


class NewPrice(BaseModel):
    """A price in USD per whole token."""

    usd: Decimal = Field(gt=0)


@dataclass
class PriceEmulator:
    """The provider's state.

    Attributes:
        prices: USD per whole token, by the provider's id.
        behaviour: what it does now.
        requests: how many price requests came in.
        now: the clock.
    """

    prices: dict[str, Decimal] = field(default_factory=lambda: dict(USD_PRICES))
    behaviour: Behaviour = field(default_factory=Behaviour)
    requests: int = 0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def take_behaviour(self) -> Behaviour:
        """Return the behaviour for one request, counting it down where it is bounded."""
        self.requests += 1
        current = self.behaviour
        if current.failures is not None:
            left = current.failures - 1
            self.behaviour = current.model_copy(update={"failures": left}) if left else Behaviour()
        return current

    def quote(
        self, ids: list[str], currencies: list[str], with_time: bool, behaviour: Behaviour
    ) -> dict[str, Any]:
        """Return the body of an answer. Ids and currencies that are not known are left out, as documented."""
        factor = behaviour.factor if behaviour.mode is Mode.ANOMALOUS else Decimal(1)
        updated_at = int(self.now().timestamp())
        if behaviour.mode is Mode.STALE:
            updated_at -= behaviour.stale_seconds
        body: dict[str, Any] = {}
        for identifier in ids:
            if identifier not in self.prices:
                continue
            price = self.prices[identifier] * factor
            entry: dict[str, Any] = {
                name: float(price * UNITS_PER_USD[name]) for name in currencies if name in UNITS_PER_USD
            }
            if with_time:
                entry["last_updated_at"] = updated_at
            body[identifier] = entry
        return body


def build_app(emulator: PriceEmulator) -> FastAPI:
    """Return the provider as an ASGI application."""
    app = FastAPI(title="Price provider emulator")

    @app.get("/api/v3/ping")
    async def ping() -> dict[str, str]:
        return {"gecko_says": "(V3) To the Moon!"}

    @app.get("/api/v3/simple/price")
    async def simple_price(
        ids: Annotated[str, Query()] = "",
        vs_currencies: Annotated[str, Query()] = "",
        include_last_updated_at: Annotated[bool, Query()] = False,
    ) -> Any:
        behaviour = emulator.take_behaviour()
        refusal = await _refuse(behaviour)
        if refusal is not None:
            return refusal
        wanted = _split(ids)
        for name, values in (("ids", wanted), ("vs_currencies", _split(vs_currencies))):
            if not values:
                return JSONResponse({"error": f"Missing parameter {name}"}, 422)
        return emulator.quote(wanted[:MAX_IDS], _split(vs_currencies), include_last_updated_at, behaviour)

    @app.get("/admin/behaviour")
    async def show_behaviour() -> Behaviour:
        return emulator.behaviour

    @app.put("/admin/behaviour")
    async def set_behaviour(behaviour: Behaviour) -> Behaviour:
        emulator.behaviour = behaviour
        return behaviour

    @app.put("/admin/prices/{identifier}")
    async def set_price(identifier: str, price: NewPrice) -> NewPrice:
        emulator.prices[identifier] = price.usd
        return price

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


async def _refuse(behaviour: Behaviour) -> Response | None:
    if behaviour.mode is Mode.RATE_LIMITED:
        message = "You've exceeded the Rate Limit. Please visit the pricing page for higher limits."
        return JSONResponse(
            {"status": {"error_code": 429, "error_message": message}},
            429,
            {"Retry-After": str(behaviour.retry_after_seconds)},
        )
    if behaviour.mode is Mode.SERVER_ERROR:
        return JSONResponse({"status": {"error_code": 503, "error_message": "Service Unavailable"}}, 503)
    if behaviour.mode is Mode.MALFORMED:
        return Response("<html>upstream says hello</html>", media_type="application/json")
    if behaviour.mode is Mode.SLOW:
        await asyncio.sleep(behaviour.delay_seconds)
    return None


def _split(text: str) -> list[str]:
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def serve(host: str, port: int) -> None:
    """Serve until SIGTERM."""
    uvicorn.run(build_app(PriceEmulator()), host=host, port=port, access_log=False, log_level="warning")


def main() -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(prog="python -m snowrail_testkit.emulators.prices", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8190)
    options = parser.parse_args()
    serve(options.host, options.port)


if __name__ == "__main__":
    main()
