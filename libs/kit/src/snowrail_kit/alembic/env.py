"""Alembic's entry point: runs a service's revisions over asyncpg, in one transaction."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

# nothing is selected by a document's or a payload's value; gathering statistics of them took a fifth of the
# database's processor time while tables grew
_LEAVE_DOCUMENTS_OUT_OF_STATISTICS = """
DO $$
DECLARE
    document record;
BEGIN
    FOR document IN
        SELECT attrelid::regclass AS owner, attname
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
          AND NOT attisdropped AND atttypid IN ('jsonb'::regtype, 'bytea'::regtype)
          AND attstattarget IS DISTINCT FROM 0
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', document.owner, document.attname);
    END LOOP;
END $$
"""


def _run(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1936617335)")
    context.configure(connection=connection, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()
        connection.exec_driver_sql(_LEAVE_DOCUMENTS_OUT_OF_STATISTICS)


async def _upgrade() -> None:
    engine = create_async_engine(
        context.config.attributes["url"], poolclass=NullPool, connect_args={"ssl": False, "timeout": 10}
    )
    async with engine.begin() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


asyncio.run(_upgrade())
