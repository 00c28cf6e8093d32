"""Alembic's entry point: runs a service's revisions over asyncpg, in one transaction."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def _run(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1936617335)")
    context.configure(connection=connection, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()


async def _upgrade() -> None:
    engine = create_async_engine(
        context.config.attributes["url"], poolclass=NullPool, connect_args={"ssl": False, "timeout": 10}
    )
    async with engine.begin() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


asyncio.run(_upgrade())
