"""Lines, the answers to them, and requests that another service answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from snowrail_chat.domain.cards import Card
from snowrail_kit.database import Database, Row
from snowrail_kit.pagination import Cursor
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line as it is stored. `command` is its name in the registry, None when it could not be read.

    `origin` is where it came over, and its answer goes too: `feed`, or a channel such as `telegram`.
    """

    message_id: UUID
    user_id: UUID
    text: str
    command: str | None
    posted_at: datetime
    origin: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The one answer to a line."""

    in_reply_to: UUID
    user_id: UUID
    card: Card


@dataclass(frozen=True, slots=True)
class StoredReply:
    """An answer as it stands now.

    Attributes:
        replaced_card_id: the card that stood there before; None when the line had no answer yet.
        origin: where the line came over.
    """

    message_id: UUID
    in_reply_to: UUID
    user_id: UUID
    card_id: UUID
    replaced_card_id: UUID | None
    origin: str


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of another service on behalf of a line.

    Attributes:
        subject_id: the intent, alert, device or user it is about.
        command: `create`, `authorise`, `cancel`, `pause` or `resume` of the intent service; `alert_create`,
            `alert_delete`, `set_preference` or `set_quiet_hours` of notification; `device_approve` or
            `device_deny` of accounts.
        line: the command as a line, to be repeated with an acknowledgement.
        remark: what is added to the answer.
    """

    message_id: UUID
    user_id: UUID
    subject_id: UUID
    command: str
    line: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """Which requests the state of intents answers.

    Attributes:
        created, authorised, cancelled: intents that exist, are authorised, are cancelled.
        paused, resumed: intents that are held back, or are not.
        requests: requests named in answers.
    """

    created: Sequence[UUID] = ()
    authorised: Sequence[UUID] = ()
    cancelled: Sequence[UUID] = ()
    paused: Sequence[UUID] = ()
    resumed: Sequence[UUID] = ()
    requests: Sequence[UUID] = ()


_MOST_SHOWN = 3
"""How many messages of a channel with one card are kept up to date."""

_INSERT_LINES = """
INSERT INTO message (message_id, user_id, author, command, text, posted_at, origin, changed_at)
SELECT message_id, user_id, 'user', command, text, least(posted_at, $7), origin, $7
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
     AS new (message_id, user_id, command, text, posted_at, origin)
ON CONFLICT (message_id) DO NOTHING
RETURNING message_id
"""

_SAVE_CARDS = """
INSERT INTO card AS known (card_id, version, card, text, changed_at)
SELECT *, $5 FROM unnest($1::uuid[], $2::bigint[], $3::jsonb[], $4::text[])
ON CONFLICT (card_id) DO UPDATE
SET version = EXCLUDED.version, card = EXCLUDED.card, text = EXCLUDED.text, changed_at = EXCLUDED.changed_at
WHERE known.version <= EXCLUDED.version
"""

_SAVE_REPLIES = """
WITH before AS MATERIALIZED (
    SELECT in_reply_to, card_id FROM message WHERE in_reply_to = ANY($3::uuid[])
), saved AS (
INSERT INTO message (message_id, user_id, author, in_reply_to, card_id, origin, posted_at, changed_at)
SELECT new.message_id, new.user_id, 'snowrail', new.in_reply_to, new.card_id, line.origin,
       greatest($5, line.posted_at + interval '1 microsecond'), $5
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS new (message_id, user_id, in_reply_to, card_id)
JOIN message AS line ON line.message_id = new.in_reply_to
ON CONFLICT (in_reply_to) DO UPDATE SET card_id = EXCLUDED.card_id, changed_at = EXCLUDED.changed_at
RETURNING message_id, in_reply_to, user_id, card_id, origin
)
SELECT saved.*, before.card_id AS replaced_card_id FROM saved LEFT JOIN before USING (in_reply_to)
"""

_SHOWING = """
SELECT DISTINCT ON (card_id) message_id, in_reply_to, user_id, card_id, origin, card_id AS replaced_card_id
FROM message WHERE card_id = ANY($1::uuid[]) ORDER BY card_id, posted_at DESC
"""

_SHOWN_IN_CHANNELS = """
SELECT message_id, in_reply_to, user_id, card_id, origin, card_id AS replaced_card_id FROM (
    SELECT *, row_number() OVER (PARTITION BY card_id, origin ORDER BY posted_at DESC) AS place
    FROM message WHERE card_id = ANY($1::uuid[]) AND origin <> 'feed'
) AS shown WHERE place <= $2
"""

_INSERT_REQUESTS = """
INSERT INTO request (message_id, user_id, subject_id, command, line, remark, requested_at)
SELECT *, $7 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[])
"""

_ANSWER_REQUESTS = """
UPDATE request SET answered_at = $7
WHERE answered_at IS NULL AND (
    (command = 'create' AND subject_id = ANY($1::uuid[]))
    OR (command = 'authorise' AND subject_id = ANY($2::uuid[]))
    OR (command = 'cancel' AND subject_id = ANY($3::uuid[]))
    OR (command = 'pause' AND subject_id = ANY($4::uuid[]))
    OR (command = 'resume' AND subject_id = ANY($5::uuid[]))
    OR message_id = ANY($6::uuid[]))
RETURNING message_id, user_id, subject_id, command, line, remark, requested_at
"""

_CLAIM_WAITING = """
UPDATE request SET told_at = $1 WHERE message_id IN (
    SELECT message_id FROM request
    WHERE answered_at IS NULL AND told_at IS NULL AND requested_at < $2
    ORDER BY requested_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING message_id, user_id, subject_id, command, line, remark
"""


async def insert_lines(tx: Transaction, lines: Sequence[NewLine]) -> set[UUID]:
    """Store lines and return which of them were not known before."""
    rows = await tx.fetch(
        _INSERT_LINES,
        [line.message_id for line in lines],
        [line.user_id for line in lines],
        [line.command for line in lines],
        [line.text for line in lines],
        [line.posted_at for line in lines],
        [line.origin for line in lines],
        tx.now,
    )
    return {row["message_id"] for row in rows}


async def save_replies(tx: Transaction, replies: Sequence[Reply]) -> list[StoredReply]:
    """Store the answers to lines; a line that was answered already has its card replaced."""
    if not replies:
        return []
    await _save_cards(tx, {reply.card.card_id: reply.card for reply in replies})
    rows = await tx.fetch(
        _SAVE_REPLIES,
        [tx.ids.new() for _ in replies],
        [reply.user_id for reply in replies],
        [reply.in_reply_to for reply in replies],
        [reply.card.card_id for reply in replies],
        tx.now,
    )
    return [_stored(row) for row in rows]


async def update_cards(tx: Transaction, cards: Sequence[Card]) -> list[StoredReply]:
    """Put newer cards in the place of those with the same id. Returns for each the latest message with it."""
    if not cards:
        return []
    by_id = {card.card_id: card for card in cards}
    await _save_cards(tx, by_id)
    return [_stored(row) for row in await tx.fetch(_SHOWING, list(by_id))]


async def shown_in_channels(tx: Transaction, card_ids: Sequence[UUID]) -> list[StoredReply]:
    """Return the messages of channels other than the feed that show these cards, of many the latest.

    There a card is not replaced by its id: each message is a picture of it.
    """
    return [_stored(row) for row in await tx.fetch(_SHOWN_IN_CHANNELS, card_ids, _MOST_SHOWN)]


async def _save_cards(tx: Transaction, cards: Mapping[UUID, Card]) -> None:
    """Store cards by their ids; one that is older than what is known is left out."""
    await tx.execute(
        _SAVE_CARDS,
        list(cards),
        [card.version for card in cards.values()],
        [card.wire for card in cards.values()],
        [card.text for card in cards.values()],
        tx.now,
    )


async def insert_requests(tx: Transaction, requests: Sequence[Request]) -> None:
    """Remember what was asked of the intent service."""
    if not requests:
        return
    await tx.execute(
        _INSERT_REQUESTS,
        [request.message_id for request in requests],
        [request.user_id for request in requests],
        [request.subject_id for request in requests],
        [request.command for request in requests],
        [request.line for request in requests],
        [request.remark for request in requests],
        tx.now,
    )


async def answer_requests(tx: Transaction, answered: Answered) -> list[tuple[Request, datetime]]:
    """Mark requests as answered and return those that were not yet, with the time they were made."""
    rows = await tx.fetch(
        _ANSWER_REQUESTS,
        list(answered.created),
        list(answered.authorised),
        list(answered.cancelled),
        list(answered.paused),
        list(answered.resumed),
        list(answered.requests),
        tx.now,
    )
    return [(_request(row), row["requested_at"]) for row in rows]


async def claim_waiting(tx: Transaction, asked_before: datetime, limit: int) -> list[Request]:
    """Return requests that have waited long and whose users were not told yet; they count as told now."""
    rows = await tx.fetch(_CLAIM_WAITING, tx.now, asked_before, limit)
    return [_request(row) for row in rows]


async def history(database: Database, user_id: UUID, limit: int, after: Cursor | None) -> list[Row]:
    """Return a user's lines and answers, newest first, one more than the limit where there are more."""
    return await database.fetch(
        """
        SELECT message_id, author, in_reply_to, command, coalesce(message.text, card.text) AS text, card.card,
               posted_at, greatest(message.changed_at, card.changed_at) AS changed_at
        FROM message LEFT JOIN card USING (card_id)
        WHERE user_id = $1 AND ($2::timestamptz IS NULL OR (posted_at, message_id) < ($2, $3::uuid))
        ORDER BY posted_at DESC, message_id DESC LIMIT $4
        """,
        user_id,
        after.at if after else None,
        after.row_id if after else None,
        limit + 1,
    )


async def reply_to(tx: Transaction, message_id: UUID) -> dict[str, Any] | None:
    """Return the card that answers a line, if it was answered."""
    row = await tx.fetch_row(
        "SELECT card.card FROM message JOIN card USING (card_id) WHERE in_reply_to = $1", message_id
    )
    return None if row is None else row["card"]


def _stored(row: Row) -> StoredReply:
    return StoredReply(
        row["message_id"],
        row["in_reply_to"],
        row["user_id"],
        row["card_id"],
        row["replaced_card_id"],
        row["origin"],
    )


def _request(row: Row) -> Request:
    return Request(
        row["message_id"], row["user_id"], row["subject_id"], row["command"], row["line"], row["remark"]
    )
