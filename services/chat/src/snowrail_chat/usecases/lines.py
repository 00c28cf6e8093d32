"""Lines become commands, commands become answers: a batch at a time, with a fixed number of statements."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from snowrail_chat.cards.answers import limit_card
from snowrail_chat.domain import limits as limits_domain
from snowrail_chat.domain import registry
from snowrail_chat.domain.cards import Card
from snowrail_chat.domain.commands import Command
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.limits import Use
from snowrail_chat.domain.registry import MESSAGE_LIMIT
from snowrail_chat.domain.specs import RateLimit
from snowrail_chat.metrics import ANSWER_SECONDS, COMMANDS
from snowrail_chat.parts import Parts
from snowrail_chat.store import limits, messages
from snowrail_chat.store.limits import Bucket
from snowrail_chat.store.messages import NewLine, Reply
from snowrail_chat.usecases import conversations, replies
from snowrail_chat.usecases.batch import Batch, Posted, Understood
from snowrail_chat.usecases.commands import HANDLERS
from snowrail_chat.usecases.preparation import Prepared, Reading
from snowrail_kit.unit_of_work import Transaction

_MESSAGES = "messages"


async def answer(
    posted: Sequence[Posted], prepared: Prepared, tx: Transaction, parts: Parts
) -> dict[UUID, Card | None]:
    """Answer lines that were not known before.

    Returns:
        by message: the card, or None where the intent service answers.
    """
    fresh = await _store(posted, prepared, tx)
    if not fresh:
        return {}
    book = await replies.load_quotes(tx, parts, {line.user_id for line in fresh})
    batch = Batch(tx, parts, book, prepared.balances, prepared.transactions)
    permitted = [line for line in fresh if _is_permitted(line, prepared.readings[line.message_id], batch)]
    allowed = await _limit(permitted, prepared.readings, batch)
    by_command: dict[str, list[Understood]] = {}
    for understood in await conversations.understand(allowed, prepared.readings, batch):
        by_command.setdefault(understood.command.name, []).append(understood)
    for name, handle in HANDLERS.items():
        if name in by_command:
            await handle(by_command[name], batch)
    await _finish(fresh, prepared, batch)
    return {line.message_id: batch.answers.get(line.message_id) for line in fresh}


def _name(reading: Reading) -> str | None:
    return reading.name if isinstance(reading, Command) else None


async def _store(posted: Sequence[Posted], prepared: Prepared, tx: Transaction) -> list[Posted]:
    """Store lines and return those that are new: a client's repetition has the id of the first."""
    lines = {line.message_id: line for line in posted}
    stored = await messages.insert_lines(
        tx,
        [
            NewLine(
                line.message_id,
                line.user_id,
                # PostgreSQL's text cannot hold the null character
                line.text.replace("\0", "\N{REPLACEMENT CHARACTER}"),
                _name(prepared.readings[line.message_id]),
                line.posted_at,
                line.origin,
            )
            for line in lines.values()
        ],
    )
    return [line for line in lines.values() if line.message_id in stored]


def _is_permitted(line: Posted, reading: Reading, batch: Batch) -> bool:
    if isinstance(reading, CommandError) or registry.permitted(reading.spec, line.roles):
        return True
    needed = " or ".join(sorted(reading.spec.roles))
    error = CommandError("role_required", f"/{reading.name} needs the role {needed}.")
    batch.refuse(line, error, "forbidden")
    return False


async def _limit(lines: Sequence[Posted], readings: Mapping[UUID, Reading], batch: Batch) -> list[Posted]:
    """Take lines and commands from what their users may still send; answer those that are too many."""
    wanted = {line.message_id: _limits_of(line, readings[line.message_id], batch.parts) for line in lines}
    buckets = {bucket for takes in wanted.values() for bucket, _ in takes}
    if not buckets:
        return []
    uses = await limits.lock(batch.tx, buckets)
    allowed = [line for line in lines if _take(line, wanted[line.message_id], uses, batch)]
    await limits.save(batch.tx, uses)
    return allowed


def _limits_of(line: Posted, reading: Reading, parts: Parts) -> list[tuple[Bucket, RateLimit]]:
    takes = [((line.user_id, _MESSAGES), MESSAGE_LIMIT)]
    if isinstance(reading, Command) and reading.spec.limit is not None:
        takes.append(((line.user_id, reading.name), reading.spec.limit))
    multiplier = parts.settings.rate_limit_multiplier
    return [(bucket, RateLimit(limit.count * multiplier, limit.seconds)) for bucket, limit in takes]


def _take(
    line: Posted, takes: Sequence[tuple[Bucket, RateLimit]], uses: dict[Bucket, Use], batch: Batch
) -> bool:
    for bucket, limit in takes:
        verdict = limits_domain.take(uses[bucket], 1, limit, batch.tx.now)
        if not verdict.allowed:
            name = bucket[1]
            what = name if name == _MESSAGES else f"/{name} commands"
            card = limit_card(line.card_id, line.text, what, limit, verdict.retry_after_seconds)
            batch.answer(line, card, "limited")
            return False
        uses[bucket] = verdict.use
    return True


async def _finish(fresh: Sequence[Posted], prepared: Prepared, batch: Batch) -> None:
    assert len(batch.outcomes) == len(fresh), "every line is answered or passed on"
    answered = [
        Reply(line.message_id, line.user_id, batch.answers[line.message_id])
        for line in fresh
        if line.message_id in batch.answers
    ]
    await messages.insert_requests(batch.tx, batch.requests)
    await replies.send(batch.tx, answered, {line.message_id: line.cause for line in fresh})
    for line in fresh:
        outcome = batch.outcomes[line.message_id]
        in_dialogue = outcome in ("answered", "requested", "refused")
        name = _name(prepared.readings[line.message_id]) or ("dialogue" if in_dialogue else "unreadable")
        COMMANDS.labels(name, outcome).inc()
        if line.message_id in batch.answers:
            seconds = (batch.parts.clock.now() - line.posted_at).total_seconds()
            ANSWER_SECONDS.labels(name).observe(max(seconds, 0))
