"""Databases of tests: migrated once, separate, and with the rights a service has."""

import asyncio

import asyncpg
import pytest

from snowrail_testkit import CreateDatabase

migrations_run: list[str] = []


def migrate(service_package: str, url: str) -> None:
    """Create one table as the owner would."""
    migrations_run.append(service_package)

    async def create() -> None:
        connection = await asyncpg.connect(url, ssl=False)
        await connection.execute("CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY, text text)")
        await connection.close()

    asyncio.run(create())


async def test_each_database_starts_empty_and_is_migrated_once(create_database: CreateDatabase) -> None:
    first = await create_database("snowrail_sample", migrate)
    second = await create_database("snowrail_sample", migrate)
    assert first.name != second.name
    one = await asyncpg.connect(first.url, ssl=False)
    other = await asyncpg.connect(second.url, ssl=False)
    try:
        await one.execute("INSERT INTO note (text) VALUES ('only here')")
        assert await one.fetchval("SELECT count(*) FROM note") == 1
        assert await other.fetchval("SELECT count(*) FROM note") == 0
    finally:
        await one.close()
        await other.close()
    assert migrations_run.count("snowrail_sample") <= 1


def migrate_otherwise(_: str, url: str) -> None:
    """Create another table."""

    async def create() -> None:
        connection = await asyncpg.connect(url, ssl=False)
        await connection.execute("CREATE TABLE letter (id bigint)")
        await connection.close()

    asyncio.run(create())


async def test_other_migrations_of_the_same_service_are_another_template(
    create_database: CreateDatabase,
) -> None:
    await create_database("snowrail_sample", migrate)
    database = await create_database("snowrail_sample", migrate_otherwise)
    connection = await asyncpg.connect(database.url, ssl=False)
    try:
        assert await connection.fetchval("SELECT count(*) FROM letter") == 0
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE other (id int)",
        "DROP TABLE note",
        "ALTER TABLE note ADD COLUMN more int",
        "TRUNCATE note",
    ],
)
async def test_a_service_cannot_change_tables(create_database: CreateDatabase, statement: str) -> None:
    database = await create_database("snowrail_sample", migrate)
    connection = await asyncpg.connect(database.url, ssl=False)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_owner_may_change_tables(create_database: CreateDatabase) -> None:
    database = await create_database("snowrail_sample", migrate)
    owner = await asyncpg.connect(database.owner_url, ssl=False)
    service = await asyncpg.connect(database.url, ssl=False)
    try:
        await owner.execute("CREATE TABLE later (id int)")
        await service.execute("INSERT INTO later VALUES (1)")
    finally:
        await owner.close()
        await service.close()


async def test_a_service_cannot_enter_the_database_of_another(create_database: CreateDatabase) -> None:
    mine = await create_database("snowrail_sample", migrate)
    theirs = await create_database("snowrail_stranger", migrate)
    role_here = mine.url.replace(mine.name, theirs.name)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(role_here, ssl=False)
