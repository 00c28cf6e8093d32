"""Settings of chain-monitor."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from snowrail_kit.settings import ServiceSettings


class MissingOpinion(StrEnum):
    """What happens to finality while fewer than two of several configured nodes answer.

    HOLD: it waits. PROCEED: after a while one node's word is enough, with an alarm.
    """

    HOLD = "hold"
    PROCEED = "proceed"


class Settings(ServiceSettings):
    """Settings of chain-monitor, each read from `SNOWRAIL_<NAME>`."""

    database_pool_size: int = Field(default=12, ge=4, le=100)
    """Each followed chain holds one connection for its lock and one while it stores."""

    chains_file: Path
    """Chains, tokens and contract addresses."""
    rpc_timeout_seconds: float = Field(default=10, gt=0, le=60)

    range_blocks: int = Field(default=50, ge=1, le=1_000)
    """Most blocks fetched and stored at once; halved while a node cannot answer that much."""
    poll_longest_seconds: float = Field(default=5, gt=0, le=60)
    """Nodes are asked every half block time, but no less often than this."""
    final_blocks_per_pass: int = Field(default=1_000, ge=1, le=10_000)
    """Most blocks that are compared between nodes and told as final at once."""
    missing_opinion: MissingOpinion = MissingOpinion.HOLD
    """What happens while fewer than two of several configured nodes answer."""
    missing_opinion_after_seconds: float = Field(default=30, ge=0, le=86_400)
    """How long a node may be behind before that is an alarm, and before PROCEED goes on without it."""

    reorg_depth_blocks: int = Field(default=12_000, ge=1, le=1_000_000)
    """Deepest rollback that is followed; a deeper one freezes the chain. Cronos once rolled back 11,000."""
    rollback_blocks: int = Field(default=500, ge=1, le=10_000)
    """Most blocks taken back in one transaction."""

    gas_price_every_seconds: float = Field(default=5, ge=0, le=3_600)
    """A changed gas price is told at most this often."""
    gas_price_keep_days: int = Field(default=30, ge=1, le=3_650)
    trace_keep_days: int = Field(default=3, ge=1, le=90)
    """How long a submitted transaction's trace is remembered."""

    gas_outlook_cache_seconds: float = Field(default=30, ge=0, le=60)
    gas_outlook_blocks: int = Field(default=600, ge=1, le=20_000)
    """Most recent blocks that history and forecast of gas prices are made of."""
    gas_outlook_periods: int = Field(default=60, ge=1, le=500)

    balance_cache_seconds: float = Field(default=2, ge=0, le=30)
    balance_cache_entries: int = Field(default=20_000, ge=0, le=1_000_000)
