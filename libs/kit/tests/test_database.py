"""What the pool lends, and in which state it comes back."""

from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from snowrail_kit.database import Database
from snowrail_testkit import TestDatabase

HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database"


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: TestDatabase) -> Any:
    """A pool of two connections."""
    opened = Database(database.url, pool_size=2, statement_timeout_seconds=30)
    await opened.open()
    yield opened
    await opened.close()


async def locks(pool: Database) -> int:
    """Return how many advisory locks are held in the database."""
    row = await pool.fetch_row(f"{HELD} WHERE datname = current_database())")
    assert row is not None
    return int(row["count"])


async def test_a_session_lent_whole_comes_back_as_new(pool: Database) -> None:
    async with pool.connection() as connection:
        await connection.execute("SELECT pg_advisory_lock(7)")
        await connection.execute("SET work_mem = '77MB'")
        assert await locks(pool) == 1
    assert await locks(pool) == 0
    settings = {row["work_mem"] for _ in range(4) for row in await pool.fetch("SHOW work_mem")}
    assert "77MB" not in settings


async def test_a_transaction_that_fails_leaves_nothing_behind(pool: Database) -> None:
    async def fail() -> None:
        async with pool.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(8)")
            await connection.execute("SELECT no_such_column")

    with pytest.raises(asyncpg.PostgresError):
        await fail()
    assert await locks(pool) == 0
    async with pool.transaction() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_nothing_follows_a_read(pool: Database, database: TestDatabase) -> None:
    await pool.fetch("SELECT 'the last statement'")
    other = await asyncpg.connect(database.superuser_url, ssl=False)
    rows = await other.fetch(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await other.close()
    assert "SELECT 'the last statement'" in {row["query"] for row in rows}
