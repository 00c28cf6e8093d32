"""Gas prices of recent blocks, summed up, and what the next blocks are likely to cost. Pure, whole numbers.

The forecast is deliberately simple and says what it is made of:

- `expected`: exponentially weighted mean of the series, each new block counting one sixteenth.
- `low`, `median`, `high`: 10th, 50th and 90th percentile (nearest rank) of the series.
- `next_least`, `next_most`: what the next block's base fee can be at all, an eighth below and above the last
  one (EIP-1559); absent where the chain has no base fee.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

WEIGHT = 16
"""A new block counts one part in so many."""
_SCALE = 2**32
_BASE_FEE_CHANGE = 8


@dataclass(frozen=True, slots=True)
class BlockFee:
    """Price of gas in one block, in wei per gas."""

    number: int
    time: datetime
    wei: int


@dataclass(frozen=True, slots=True)
class Period:
    """Consecutive blocks of a history, summed up. Prices in wei per gas."""

    first_block: int
    last_block: int
    begins_at: datetime
    ends_at: datetime
    low: int
    median: int
    high: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What gas is likely to cost next, in wei per gas. See the module for what each figure is."""

    blocks: int
    expected: int
    low: int
    median: int
    high: int
    next_least: int | None
    next_most: int | None


def percentile(values: Sequence[int], percent: int) -> int:
    """Return the nearest-rank percentile of at least one value."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]


def weighted_mean(values: Sequence[int]) -> int:
    """Return the exponentially weighted mean of at least one value, oldest first."""
    mean = values[0] * _SCALE
    for value in values[1:]:
        mean += (value * _SCALE - mean) // WEIGHT
    return mean // _SCALE


def forecast(fees: Sequence[BlockFee], *, has_base_fee: bool) -> Forecast | None:
    """Return the forecast from a series, oldest first; nothing when it is empty."""
    if not fees:
        return None
    values = [fee.wei for fee in fees]
    last = values[-1]
    return Forecast(
        blocks=len(values),
        expected=weighted_mean(values),
        low=percentile(values, 10),
        median=percentile(values, 50),
        high=percentile(values, 90),
        next_least=last - last // _BASE_FEE_CHANGE if has_base_fee else None,
        next_most=last + max(last // _BASE_FEE_CHANGE, 1) if has_base_fee else None,
    )


def periods(fees: Sequence[BlockFee], count: int) -> list[Period]:
    """Sum up a series, oldest first, in at most so many parts of equally many blocks."""
    assert count >= 1, "a history has at least one period"
    size = max(-(-len(fees) // count), 1)
    parts = [fees[start : start + size] for start in range(0, len(fees), size)]
    return [
        Period(
            first_block=part[0].number,
            last_block=part[-1].number,
            begins_at=part[0].time,
            ends_at=part[-1].time,
            low=min(fee.wei for fee in part),
            median=percentile([fee.wei for fee in part], 50),
            high=max(fee.wei for fee in part),
        )
        for part in parts
    ]
