"""Roles and databases: the owner alone changes tables, a service reads and writes its own rows."""

import asyncpg

from snowrail_local.servers import PostgresRole

OWNER_ROLE_NAME = "snowrail_owner"


async def ensure_role(connection: asyncpg.Connection, role: PostgresRole) -> None:
    """Create a login role without any power, or set its password to the one given."""
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role.name)
    password = "NULL" if role.password is None else _quote_text(role.password)
    await connection.execute(
        f"{'ALTER' if exists else 'CREATE'} ROLE {quote_name(role.name)}"
        f" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {password}"
    )


async def ensure_database(connection: asyncpg.Connection, database: str, owner: PostgresRole) -> None:
    """Create a database that belongs to the owner role and that nobody else may connect to."""
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        await connection.execute(f"CREATE DATABASE {quote_name(database)} OWNER {quote_name(owner.name)}")
    await connection.execute(f"REVOKE ALL ON DATABASE {quote_name(database)} FROM PUBLIC")


async def grant_rows(
    connection: asyncpg.Connection, database: str, owner: PostgresRole, role: PostgresRole
) -> None:
    """Let a role connect and use rows of tables to come, without any right to change tables.

    Tables that are there are left alone: a migration may have taken a right away on purpose.

    Args:
        connection: a superuser's connection to that very database.
        database: its name.
        owner: the role that creates tables.
        role: the role of the service.
    """
    name, owner_name = quote_name(role.name), quote_name(owner.name)
    future = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner_name} IN SCHEMA public GRANT"
    for statement in (
        f"GRANT CONNECT, TEMPORARY ON DATABASE {quote_name(database)} TO {name}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"{future} SELECT, INSERT, UPDATE, DELETE ON TABLES TO {name}",
        f"{future} USAGE, SELECT ON SEQUENCES TO {name}",
    ):
        await connection.execute(statement)


def quote_name(name: str) -> str:
    """Quote an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _quote_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
