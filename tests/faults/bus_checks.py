"""What tests of kills look for on the bus, and how they hurry it."""

from collections.abc import Sequence

import asyncpg

from snowrail_events import Event
from snowrail_testkit import Broker, TestDatabase

ANSWER_TIMEOUT_SECONDS = 30


async def redeliver_quickly(broker: Broker, service: str, ack_wait_seconds: float) -> None:
    """Have the broker give a killed process's messages to the next one after so long."""
    jetstream = broker.probe.client.jetstream()
    config = (await jetstream.consumer_info("EVENTS", service)).config
    config.ack_wait = ack_wait_seconds
    await jetstream.add_consumer("EVENTS", config)


async def check_outbox_and_stream(
    broker: Broker, database: TestDatabase, events: Sequence[type[Event]]
) -> None:
    """Every outbox row is sent under one dense number, and the stream holds each of them and no other."""
    connection = await asyncpg.connect(database.superuser_url, ssl=False)
    rows = await connection.fetch(
        "SELECT event_id, outbox.sequence_key, sequence FROM outbox LEFT JOIN outbox_number USING (position)"
        " ORDER BY sequence_key, sequence"
    )
    unsent = await connection.fetchval("SELECT count(*) FROM outbox_unsent")
    await connection.close()
    assert unsent == 0
    assert all(row["sequence"] for row in rows)
    assert {row["sequence_key"] for row in rows} <= {event.subject for event in events}
    for event in events:
        numbered = {
            str(row["event_id"]): row["sequence"] for row in rows if row["sequence_key"] == event.subject
        }
        assert list(numbered.values()) == list(range(1, len(numbered) + 1)), event.subject
        assert await numbers_in_stream(broker, event) == numbered, event.subject


async def numbers_in_stream(broker: Broker, event: type[Event]) -> dict[str, int]:
    """Return the number of each event of a type that the stream holds, by event id."""
    numbers: dict[str, int] = {}
    jetstream = broker.probe.client.jetstream()
    subscription = await jetstream.subscribe(event.subject, stream="EVENTS", ordered_consumer=True)
    for _ in range(await broker.probe.count(event)):
        message = await subscription.next_msg(timeout=ANSWER_TIMEOUT_SECONDS)
        headers = message.headers or {}
        number = int(headers["snowrail-sequence"])
        assert numbers.setdefault(headers["ce-id"], number) == number, "an event has two numbers"
    await subscription.unsubscribe()
    return numbers
