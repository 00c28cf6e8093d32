"""From a commit in a service to the sockets of a thousand users."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4

import nats
import orjson
import pytest
import uvloop

from snowrail_events import DeviceSignedInV1
from snowrail_kit.bus import EVENTS_STREAM, encode_headers
from snowrail_kit.delivery import Envelope
from snowrail_local.stack import Stack

from .conftest import Table
from .crowd import Member, crowd
from .stacks import measured_stack

CONNECTIONS = 1_000
PER_SECOND = 200
SECONDS = 20
QUIET_SECONDS = 3.0
TIMEOUT_SECONDS = 60
LABEL = "measured"


class Receipts:
    """When each event that is measured was committed and received."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.last_at = time.monotonic()

    def on_frame(self, _: Member, text: str) -> None:
        """Take a frame of anybody's socket."""
        received_at = time.time()
        self.last_at = time.monotonic()
        frame = orjson.loads(text)
        if frame["type"] == "notification" and frame["data"]["data"].get("label") == LABEL:
            committed_at = datetime.fromisoformat(frame["at"]).timestamp()
            self.milliseconds.append(1_000 * (received_at - committed_at))

    async def quiet(self) -> None:
        """Wait until nothing has arrived for a while."""
        while time.monotonic() - self.last_at < QUIET_SECONDS:  # noqa: ASYNC110 - nothing tells of nothing
            await asyncio.sleep(0.1)


@pytest.mark.bench
def test_commit_to_socket(table: Table) -> None:
    """Sign-ins from new devices, announced as accounts does, become notifications of their users.

    The time begins with the transaction of the notification service that stores the notification and its
    feed event, and ends when the text of the frame is in the client's hands.
    """
    with measured_stack() as stack:
        uvloop.run(_measure(stack, table))


async def _measure(stack: Stack, table: Table) -> None:
    receipts = Receipts()
    async with crowd(stack, CONNECTIONS, receipts.on_frame) as members:
        await receipts.quiet()
        seed = (stack.settings.secrets_folder / "services" / "accounts" / "snowrail_nats_seed").read_text()
        client = await nats.connect(
            stack.nats.url, nkeys_seed_str=seed.strip(), inbox_prefix="_INBOX_accounts"
        )
        jetstream = client.jetstream(publish_async_max_pending=1_000)
        begun = time.monotonic()
        for number in range(PER_SECOND * SECONDS):
            await asyncio.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
            event = _sign_in(members[number * 7 % CONNECTIONS])
            headers = encode_headers(
                Envelope(uuid4(), event.subject, "accounts"), event.aggregate_id(), event.signed_in_at
            )
            body = event.model_dump_json().encode()
            await jetstream.publish_async(event.subject, body, stream=EVENTS_STREAM, headers=headers)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while len(receipts.milliseconds) < PER_SECOND * SECONDS:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await client.close()
    table.add_percentiles(
        f"commit to socket, {CONNECTIONS:,} connections, {PER_SECOND}/s", receipts.milliseconds, "< 50"
    )


def _sign_in(member: Member) -> DeviceSignedInV1:
    return DeviceSignedInV1(
        user_id=member.user_id,  # pyright: ignore[reportArgumentType] - read from text
        device_id=uuid4(),
        label=LABEL,
        address="127.0.0.1",
        is_new=True,
        signed_in_at=datetime.now(UTC),
    )
