"""What old rows of the inbox become."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from snowrail_kit import housekeeping
from snowrail_kit.database import Database
from snowrail_kit.housekeeping import INBOX_KEEP_DAYS, housekeep
from snowrail_kit.ids import TimeOrderedIds, first_id_of
from snowrail_testkit import FakeClock, TestDatabase

OLD = timedelta(days=INBOX_KEEP_DAYS + 1)


def id_of(moment: datetime) -> UUID:
    """Return a time-ordered id of a moment."""
    return UUID(int=first_id_of(moment).int | (uuid4().int & (2**80 - 1)))


async def test_old_rows_of_the_inbox_go_in_bounded_batches_and_no_others(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_INBOX_DELETE_ROWS", 3)
    now = datetime.now(UTC)
    old = now - OLD
    opened = Database(database.url, 1, 30)
    await opened.open()
    rows = [
        *((id_of(old), old, number) for number in range(1, 6)),  # below the watermark
        (id_of(old), old, None),
        (id_of(old + timedelta(seconds=1)), old, 9),  # above it: a hole is still open
        (UUID(int=2**128 - 1), old, None),  # derived
        (id_of(now), now, 6),
        (UUID(int=2**128 - 2), now, None),
    ]
    async with opened.connection() as connection:
        await connection.execute("INSERT INTO inbox_watermark VALUES ('intent', 'a.v1', 6)")
        await connection.executemany(
            "INSERT INTO inbox (consumer, event_id, producer, sequence_key, sequence, received_at)"
            " VALUES ('fraud', $1, 'intent', 'a.v1', $3, $2)",
            rows,
        )
    passes = [await housekeep(opened, FakeClock(now), "fraud") for _ in range(4)]
    kept = await opened.fetch("SELECT sequence, received_at FROM inbox ORDER BY sequence NULLS LAST")
    await opened.close()
    assert passes == [True, True, False, False]
    assert [row["sequence"] for row in kept] == [6, 9, None]
    assert kept[-1]["received_at"] == now


def test_ids_are_ordered_by_their_moments() -> None:
    made = TimeOrderedIds().new()
    now = datetime.now(UTC)
    assert first_id_of(now - timedelta(seconds=5)) < made < first_id_of(now + timedelta(seconds=5))
