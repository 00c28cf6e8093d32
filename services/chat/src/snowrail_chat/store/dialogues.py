"""Dialogues that users are in."""

from collections.abc import Collection, Mapping
from uuid import UUID

from snowrail_chat.domain import dialogues
from snowrail_chat.domain.dialogues import Dialogue
from snowrail_kit.unit_of_work import Transaction

_SAVE = """
INSERT INTO dialogue (user_id, command, given, changed_at)
SELECT user_id, command, given, $4
FROM unnest($1::uuid[], $2::text[], $3::jsonb[]) AS new (user_id, command, given)
ON CONFLICT (user_id) DO UPDATE
SET command = EXCLUDED.command, given = EXCLUDED.given, changed_at = EXCLUDED.changed_at
"""


async def lock(tx: Transaction, user_ids: Collection[UUID]) -> dict[UUID, Dialogue]:
    """Return the dialogues users are in, locked in the order of their ids."""
    rows = await tx.fetch(
        "SELECT user_id, command, given FROM dialogue WHERE user_id = ANY($1::uuid[])"
        " ORDER BY user_id FOR UPDATE",
        list(user_ids),
    )
    found = {row["user_id"]: dialogues.restore(row["command"], row["given"]) for row in rows}
    return {user_id: dialogue for user_id, dialogue in found.items() if dialogue is not None}


async def save(tx: Transaction, changed: Mapping[UUID, Dialogue | None]) -> None:
    """Store the dialogues users are in now; None where they are in none any more."""
    ended = [user_id for user_id, dialogue in changed.items() if dialogue is None]
    open_ = {user_id: dialogue for user_id, dialogue in changed.items() if dialogue is not None}
    if ended:
        await tx.execute("DELETE FROM dialogue WHERE user_id = ANY($1::uuid[])", ended)
    if open_:
        await tx.execute(
            _SAVE,
            list(open_),
            [dialogue.spec.name for dialogue in open_.values()],
            [dialogues.store(dialogue) for dialogue in open_.values()],
            tx.now,
        )
