"""Gas prices that were told, and the traces in which transactions were submitted."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from snowrail_chain_monitor.domain import GasPrice
from snowrail_chain_monitor.gas_forecast import BlockFee
from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction

_PRUNE_ROWS = 5_000
_RECORDED = "'[13579bdf]$'"
"""Matches a traceparent whose trace is recorded: the lowest bit of its flags is set."""


async def latest_gas_price(reads: Database | Transaction, chain_id: int) -> GasPrice | None:
    """Return the gas price that was told last."""
    rows = await gas_prices(reads, chain_id, 1)
    return rows[0] if rows else None


async def gas_prices(reads: Database | Transaction, chain_id: int, limit: int) -> list[GasPrice]:
    """Return the gas prices that were told, newest first."""
    rows = await reads.fetch(
        "SELECT block_number, gas_price, base_fee, observed_at FROM gas_price"
        " WHERE chain_id = $1 ORDER BY observed_at DESC LIMIT $2",
        chain_id,
        limit,
    )
    return [GasPrice(**row) for row in rows]


async def base_fees(database: Database, chain_id: int, limit: int) -> list[BlockFee]:
    """Return the base fees of the newest stored blocks, oldest first."""
    rows = await database.fetch(
        "SELECT number, block_time, base_fee FROM chain_block"
        " WHERE chain_id = $1 ORDER BY number DESC LIMIT $2",
        chain_id,
        limit,
    )
    return [BlockFee(row["number"], row["block_time"], row["base_fee"]) for row in reversed(rows)]


async def insert_gas_price(tx: Transaction, chain_id: int, price: GasPrice) -> None:
    """Remember a gas price that is told now."""
    await tx.execute(
        "INSERT INTO gas_price (chain_id, block_number, gas_price, base_fee, observed_at)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        chain_id,
        price.block_number,
        price.gas_price,
        price.base_fee,
        price.observed_at,
    )


async def remember_traces(tx: Transaction, chain_ids: Sequence[int], traces: Mapping[str, str]) -> None:
    """Remember the trace of submitted transactions; a recorded trace is preferred, then the first."""
    await tx.execute(
        "INSERT INTO submitted_trace AS known (chain_id, tx_hash, traceparent, received_at)"
        " SELECT chain_id, tx_hash, traceparent, $4"
        " FROM unnest($1::bigint[], $2::text[], $3::text[]) AS trace (chain_id, tx_hash, traceparent)"
        " ORDER BY tx_hash ON CONFLICT (chain_id, tx_hash) DO UPDATE SET traceparent = EXCLUDED.traceparent"
        f" WHERE known.traceparent !~ {_RECORDED} AND EXCLUDED.traceparent ~ {_RECORDED}",
        list(chain_ids),
        list(traces),
        list(traces.values()),
        tx.now,
    )


async def traces_of(tx: Transaction, chain_id: int, hashes: Sequence[str]) -> dict[str, str]:
    """Return the traces of transactions by hash, where they are known."""
    rows = await tx.fetch(
        "SELECT tx_hash, traceparent FROM submitted_trace WHERE chain_id = $1 AND tx_hash = ANY($2::text[])",
        chain_id,
        list(hashes),
    )
    return {row["tx_hash"]: row["traceparent"] for row in rows}


async def prune(tx: Transaction, traces_before: datetime, gas_prices_before: datetime) -> None:
    """Forget old traces and gas prices, a bounded number at a time."""
    await tx.execute(
        "DELETE FROM submitted_trace WHERE (chain_id, tx_hash) IN"
        " (SELECT chain_id, tx_hash FROM submitted_trace WHERE received_at < $1 LIMIT $2)",
        traces_before,
        _PRUNE_ROWS,
    )
    await tx.execute(
        "DELETE FROM gas_price WHERE (chain_id, observed_at) IN"
        " (SELECT chain_id, observed_at FROM gas_price WHERE observed_at < $1 LIMIT $2)",
        gas_prices_before,
        _PRUNE_ROWS,
    )
