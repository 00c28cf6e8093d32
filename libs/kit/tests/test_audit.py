"""The audit log shows any row that was changed, removed or put in."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from snowrail_kit import audit
from snowrail_kit.audit import Act, audit_statements
from snowrail_kit.database import Database
from snowrail_testkit import CreateDatabase, FakeClock, TestDatabase


@pytest_asyncio.fixture(loop_scope="session")
async def database(create_database: CreateDatabase) -> TestDatabase:
    """A database with an empty audit log."""
    created = await create_database()
    owner = await asyncpg.connect(created.owner_url, ssl=False)
    for statement in audit_statements():
        await owner.execute(statement)
    await owner.close()
    return created


@pytest_asyncio.fixture(loop_scope="session")
async def opened(database: TestDatabase) -> AsyncIterator[Database]:
    """The service's own way into that database."""
    service = Database(database.url, 4, 30)
    await service.open()
    yield service
    await service.close()


async def record(database: Database, clock: FakeClock, *names: str) -> None:
    """Append one act per name, in one transaction."""
    acts = [Act("someone", name, "something", {"b": 1, "a": ["ü", None]}) for name in names]
    async with database.transaction() as connection:
        await audit.append(connection, acts, clock.now())


async def test_a_chain_of_several_transactions_holds(opened: Database, clock: FakeClock) -> None:
    empty = await audit.verify(opened)
    assert (empty.entries, empty.broken_at) == (0, None)
    await record(opened, clock, "first", "second")
    clock.advance(1.5)
    await record(opened, clock)
    await record(opened, clock, "third")
    whole = await audit.verify(opened)
    assert (whole.entries, whole.broken_at) == (3, None)
    assert whole.head != empty.head


async def test_more_rows_than_one_read_are_verified(opened: Database, clock: FakeClock) -> None:
    await record(opened, clock, *(f"act.{number}" for number in range(2_500)))
    assert (await audit.verify(opened)).entries == 2_500


async def test_entries_are_read_newest_first(opened: Database, clock: FakeClock) -> None:
    await record(opened, clock, "first", "second", "third")
    newest = await audit.page(opened, None, None, 2)
    assert [row["action"] for row in newest] == ["third", "second"]
    older = await audit.page(opened, newest[-1]["position"], "something", 2)
    assert [row["action"] for row in older] == ["first"]
    assert await audit.page(opened, None, "nothing", 2) == []


async def test_concurrent_writers_make_one_chain(opened: Database, clock: FakeClock) -> None:
    await asyncio.gather(*(record(opened, clock, "one", "two") for _ in range(12)))
    whole = await audit.verify(opened)
    assert (whole.entries, whole.broken_at) == (24, None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET actor = 'nobody'",
        "DELETE FROM audit_entry WHERE position = 2",
    ],
)
async def test_the_service_cannot_change_it(opened: Database, clock: FakeClock, statement: str) -> None:
    await record(opened, clock, "first", "second", "third")
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await opened.fetch(statement)


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE audit_entry SET actor = 'nobody' WHERE position = 2", 2),
        ("UPDATE audit_entry SET details = '{}' WHERE position = 1", 1),
        ("UPDATE audit_entry SET recorded_at = recorded_at + interval '1 microsecond' WHERE position = 3", 3),
        ("UPDATE audit_entry SET hash = sha256(hash) WHERE position = 2", 2),
        ("DELETE FROM audit_entry WHERE position = 2", 2),
        ("UPDATE audit_entry SET position = position + 10 WHERE position = 3", 3),
        # a row whose own hash fits, but which follows another past
        ("UPDATE audit_entry SET previous_hash = sha256(previous_hash) WHERE position = 2", 2),
    ],
)
async def test_a_row_altered_by_a_superuser_is_found(
    database: TestDatabase, opened: Database, clock: FakeClock, statement: str, broken_at: int
) -> None:
    await record(opened, clock, "first", "second", "third")
    superuser = await asyncpg.connect(database.superuser_url, ssl=False)
    await superuser.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
    await superuser.execute(statement)
    await superuser.close()
    found = await audit.verify(opened)
    assert (found.broken_at, found.entries) == (broken_at, broken_at - 1)


async def test_fields_cannot_be_shifted_into_each_other(clock: FakeClock) -> None:
    one = audit.entry_hash(bytes(32), 1, clock.now(), "ab", "c", "", "{}")
    other = audit.entry_hash(bytes(32), 1, clock.now(), "a", "bc", "", "{}")
    assert one != other
