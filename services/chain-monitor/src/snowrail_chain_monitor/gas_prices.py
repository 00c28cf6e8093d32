"""History and forecast of gas prices, kept for the time their cache allows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from snowrail_chain_monitor.domain import GasPrice
from snowrail_chain_monitor.gas_forecast import BlockFee, Forecast, Period, forecast, periods
from snowrail_chain_monitor.store import history
from snowrail_kit.clock import Clock
from snowrail_kit.database import Database


@dataclass(frozen=True, slots=True)
class GasOutlook:
    """What is known of a chain's gas price.

    Attributes:
        latest: The price that was told last.
        has_base_fee: Whether history and forecast are of base fees; otherwise of the prices nodes suggested.
        history: Recent blocks, oldest first.
        forecast: What comes next; nothing before the first block.
        made_at: When this was read.
    """

    latest: GasPrice | None
    has_base_fee: bool
    history: list[Period]
    forecast: Forecast | None
    made_at: datetime


class GasPrices:
    """Reads outlooks, each at most once in a while.

    Args:
        keep_seconds: How long an outlook is used again.
        blocks: Most recent blocks taken into account.
        periods_count: Most periods of a history.
    """

    def __init__(
        self, database: Database, clock: Clock, keep_seconds: float, blocks: int, periods_count: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep = timedelta(seconds=keep_seconds)
        self._blocks = blocks
        self._periods = periods_count
        self._known: dict[int, GasOutlook] = {}

    async def outlook(self, chain_id: int) -> GasOutlook:
        """Return the outlook of a chain, which is one of the configured ones."""
        now = self._clock.now()
        known = self._known.get(chain_id)
        if known is not None and now - known.made_at < self._keep:
            return known
        fees = await history.base_fees(self._database, chain_id, self._blocks)
        has_base_fee = any(fee.wei for fee in fees)
        told = await history.gas_prices(self._database, chain_id, 1 if has_base_fee else self._blocks)
        if not has_base_fee:
            fees = [
                BlockFee(price.block_number, price.observed_at, price.gas_price) for price in reversed(told)
            ]
        made = GasOutlook(
            latest=told[0] if told else None,
            has_base_fee=has_base_fee,
            history=periods(fees, self._periods),
            forecast=forecast(fees, has_base_fee=has_base_fee),
            made_at=now,
        )
        self._known[chain_id] = made
        return made
