"""What other services said that intents depend on: users, gas prices; and what users have spent and paid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from snowrail_intent.domain.conditions import CURRENCY
from snowrail_intent.domain.evaluation import SeenPrice
from snowrail_intent.domain.limits import Budget
from snowrail_intent.domain.requests import Account
from snowrail_kit.database import Connection, Row

_SAVE_USERS = """
INSERT INTO user_account AS known (user_id, address, kyc_level, changed_at)
SELECT DISTINCT ON (user_id) * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::timestamptz[])
    AS told (user_id, address, kyc_level, changed_at)
ORDER BY user_id, changed_at DESC
ON CONFLICT (user_id) DO UPDATE
SET address = EXCLUDED.address, kyc_level = EXCLUDED.kyc_level, changed_at = EXCLUDED.changed_at
WHERE EXCLUDED.changed_at >= known.changed_at
"""

_SAVE_GAS_PRICES = """
INSERT INTO gas_price AS known (chain_id, gas_price, base_fee, block_number, observed_at)
SELECT DISTINCT ON (chain_id) *
FROM unnest($1::bigint[], $2::numeric[], $3::numeric[], $4::bigint[], $5::timestamptz[])
    AS told (chain_id, gas_price, base_fee, block_number, observed_at)
ORDER BY chain_id, observed_at DESC
ON CONFLICT (chain_id) DO UPDATE SET gas_price = EXCLUDED.gas_price, base_fee = EXCLUDED.base_fee,
    block_number = EXCLUDED.block_number, observed_at = EXCLUDED.observed_at
WHERE EXCLUDED.observed_at >= known.observed_at
"""

_SAVE_GAS_SAMPLES = """
INSERT INTO gas_sample AS known (chain_id, minute, lowest, highest, latest, latest_at)
SELECT chain_id, date_trunc('minute', observed_at), min(gas_price), max(gas_price),
       (array_agg(gas_price ORDER BY observed_at DESC))[1], max(observed_at)
FROM unnest($1::bigint[], $2::numeric[], $3::timestamptz[]) AS told (chain_id, gas_price, observed_at)
GROUP BY chain_id, date_trunc('minute', observed_at)
ORDER BY 1, 2
ON CONFLICT (chain_id, minute) DO UPDATE
SET lowest = least(known.lowest, EXCLUDED.lowest), highest = greatest(known.highest, EXCLUDED.highest),
    latest = CASE WHEN EXCLUDED.latest_at >= known.latest_at THEN EXCLUDED.latest ELSE known.latest END,
    latest_at = greatest(known.latest_at, EXCLUDED.latest_at)
"""

_ADD_SPENDING = """
INSERT INTO spending AS known (user_id, day, token, amount, gas)
SELECT user_id, day, token, sum(amount), sum(gas)
FROM unnest($1::uuid[], $2::date[], $3::text[], $4::numeric[], $5::bigint[])
    AS added (user_id, day, token, amount, gas)
GROUP BY user_id, day, token ORDER BY user_id, day, token
ON CONFLICT (user_id, day, token) DO UPDATE
SET amount = known.amount + EXCLUDED.amount, gas = known.gas + EXCLUDED.gas
"""

_SAVE_RECIPIENTS = """
INSERT INTO paid_recipient AS known (user_id, address, shape, paid_count, last_paid_at)
SELECT user_id, address, min(shape), count(*), $4::timestamptz
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS paid (user_id, address, shape)
GROUP BY user_id, address ORDER BY user_id, address
ON CONFLICT (user_id, address) DO UPDATE
SET paid_count = known.paid_count + EXCLUDED.paid_count,
    last_paid_at = greatest(known.last_paid_at, EXCLUDED.last_paid_at)
"""


@dataclass(frozen=True, slots=True)
class SpendingChange:
    """What an intent adds to its payer's use of the limits of one day, or gives back."""

    user_id: UUID
    day: date
    token: str
    amount: int
    gas: int


@dataclass(frozen=True, slots=True)
class GasPrice:
    """The gas price of a chain, in wei, at a block."""

    chain_id: int
    gas_price: int
    base_fee: int
    block_number: int
    observed_at: datetime


def shape_of(address: str) -> str:
    """Return the digits that addresses share which people take for each other."""
    return f"{address[2:6]}{address[-4:]}".lower()


async def save_users(connection: Connection, accounts: Sequence[tuple[Account, datetime]]) -> None:
    """Store users as of the moments they changed; older news changes nothing."""
    await connection.execute(
        _SAVE_USERS,
        [account.user_id for account, _ in accounts],
        [account.address for account, _ in accounts],
        [account.kyc_level for account, _ in accounts],
        [changed_at for _, changed_at in accounts],
    )


async def lock_users(connection: Connection, user_ids: Iterable[UUID]) -> dict[UUID, Account]:
    """Return users, locked in the order of their ids: a user's limits are judged one batch at a time."""
    rows = await connection.fetch(
        "SELECT user_id, address, kyc_level FROM user_account WHERE user_id = ANY($1::uuid[])"
        " ORDER BY user_id FOR UPDATE",
        list(user_ids),
    )
    return {row["user_id"]: Account(row["user_id"], row["address"], row["kyc_level"]) for row in rows}


async def save_gas_prices(connection: Connection, prices: Sequence[GasPrice]) -> None:
    """Store gas prices, the newest per chain, and the range of each minute."""
    await connection.execute(
        _SAVE_GAS_PRICES,
        [price.chain_id for price in prices],
        [price.gas_price for price in prices],
        [price.base_fee for price in prices],
        [price.block_number for price in prices],
        [price.observed_at for price in prices],
    )
    await connection.execute(
        _SAVE_GAS_SAMPLES,
        [price.chain_id for price in prices],
        [price.gas_price for price in prices],
        [price.observed_at for price in prices],
    )


async def fetch_gas_prices(connection: Connection) -> dict[int, GasPrice]:
    """Return the newest gas price of each chain."""
    rows = await connection.fetch("SELECT * FROM gas_price")
    return {row["chain_id"]: GasPrice(**dict(row)) for row in rows}


async def fetch_gas_samples(connection: Connection, since: datetime) -> list[Row]:
    """Return the range of gas prices of each chain and minute since a moment, oldest first."""
    return await connection.fetch(
        "SELECT chain_id, minute, lowest, highest, latest FROM gas_sample WHERE minute >= $1"
        " ORDER BY chain_id, minute",
        since,
    )


async def prune_gas_samples(connection: Connection, before: datetime) -> None:
    """Delete the ranges of minutes before a moment."""
    await connection.execute("DELETE FROM gas_sample WHERE minute < $1", before)


async def fetch_budget(connection: Connection, user_ids: Iterable[UUID], days: Iterable[date]) -> Budget:
    """Return what users' payments take in the months of these UTC days."""
    months = sorted({day.replace(day=1) for day in days})
    budget = Budget()
    rows = await connection.fetch(
        "SELECT user_id, day, token, amount, gas FROM spending"
        " JOIN unnest($2::date[]) AS month (start)"
        " ON day >= start AND day < (start + interval '1 month')::date"
        " WHERE user_id = ANY($1::uuid[])",
        list(user_ids),
        months,
    )
    for row in rows:
        budget.add(row["user_id"], row["day"], row["token"], row["amount"], row["gas"])
    return budget


async def save_prices(connection: Connection, prices: Sequence[tuple[str, SeenPrice]]) -> None:
    """Store prices in US dollars by symbol; older ones than are known change nothing."""
    await connection.execute(
        """
        INSERT INTO token_price AS known (symbol, currency, price, observed_at)
        SELECT DISTINCT ON (symbol) symbol, $4, price, observed_at
        FROM unnest($1::text[], $2::numeric[], $3::timestamptz[]) AS told (symbol, price, observed_at)
        ORDER BY symbol, observed_at DESC
        ON CONFLICT (symbol, currency) DO UPDATE
        SET price = EXCLUDED.price, observed_at = EXCLUDED.observed_at
        WHERE EXCLUDED.observed_at >= known.observed_at
        """,
        [symbol for symbol, _ in prices],
        [price.value for _, price in prices],
        [price.observed_at for _, price in prices],
        CURRENCY,
    )


async def fetch_prices(connection: Connection) -> dict[str, SeenPrice]:
    """Return the newest price in US dollars of each token, by symbol."""
    rows = await connection.fetch(
        "SELECT symbol, price, observed_at FROM token_price WHERE currency = $1", CURRENCY
    )
    return {row["symbol"]: SeenPrice(Decimal(row["price"]), row["observed_at"]) for row in rows}


async def add_spending(connection: Connection, changes: Sequence[SpendingChange]) -> None:
    """Add to what users' intents take, or give back with negative amounts."""
    await connection.execute(
        _ADD_SPENDING,
        [change.user_id for change in changes],
        [change.day for change in changes],
        [change.token for change in changes],
        [change.amount for change in changes],
        [change.gas for change in changes],
    )


async def find_paid_recipients(
    connection: Connection, recipients: Sequence[tuple[UUID, str]]
) -> dict[UUID, set[str]]:
    """Return, by user, addresses the user has paid that are, or look like, one of these recipients."""
    rows = await connection.fetch(
        "SELECT DISTINCT known.user_id, known.address FROM paid_recipient AS known"
        " JOIN unnest($1::uuid[], $2::text[]) AS asked (user_id, shape)"
        " ON known.user_id = asked.user_id AND known.shape = asked.shape",
        [user_id for user_id, _ in recipients],
        [shape_of(address) for _, address in recipients],
    )
    known: dict[UUID, set[str]] = {}
    for row in rows:
        known.setdefault(row["user_id"], set()).add(row["address"])
    return known


async def add_paid_recipients(
    connection: Connection, recipients: Sequence[tuple[UUID, str]], now: datetime
) -> None:
    """Remember whom users have paid."""
    await connection.execute(
        _SAVE_RECIPIENTS,
        [user_id for user_id, _ in recipients],
        [address for _, address in recipients],
        [shape_of(address) for _, address in recipients],
        now,
    )
