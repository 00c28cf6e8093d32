"""A batch of lines costs a fixed number of statements, however many lines and users it has."""

from uuid import uuid4

from asyncpg.connection import LoggedQuery

from snowrail_chat.usecases import lines, preparation
from snowrail_chat.usecases.batch import Posted
from snowrail_testkit import FakeClock, RunningService

from .support import ALICE, BOB

LINES = (
    *(f"/pay {BOB} 1", "/pay @nobody 1", "/pay someone 1", "/help", "/status", "/status abcd", "/wallet"),
    "/history",
    *("/confirm", "/confirm abcd", "/cancel abcd", "/preview abcd", "/withdraw abcd", "/deposit abcd 1"),
    *("/contacts", f"/contacts add x {BOB}", "/contacts remove y", "nonsense", "/nope"),
)  # fmt: skip


POOL_CONNECTIONS = 6


async def statements_of(users: int, chat: RunningService, clock: FakeClock) -> int:
    """Answer every kind of line for a number of users in one batch, and count the statements."""
    posted = [
        Posted(uuid4(), user_id, "alice", ALICE, frozenset({"user"}), text, clock.now())
        for user_id in (uuid4() for _ in range(users))
        for text in LINES
    ]
    prepared = await preparation.prepare(posted, chat.parts)
    seen: list[str] = []

    def note(query: LoggedQuery) -> None:
        seen.append(query.query)

    async with chat.runtime.transaction() as tx:
        with tx.connection.query_logger(note):
            answers = await lines.answer(posted, prepared, tx, chat.parts)
    assert len(answers) == len(posted)
    return len(seen)


async def test_statements_do_not_grow_with_the_batch(chat: RunningService, clock: FakeClock) -> None:
    # the first use of each of the pool's connections also asks for types: the fewest are the work's own
    one = min([await statements_of(1, chat, clock) for _ in range(POOL_CONNECTIONS)])
    assert min([await statements_of(20, chat, clock) for _ in range(POOL_CONNECTIONS)]) == one
    assert one <= 30
