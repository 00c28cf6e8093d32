"""Lines in the order they were sent: commands, and answers to what a dialogue asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from snowrail_chat.cards.dialogues import left_card, question_card
from snowrail_chat.domain import dialogues as domain
from snowrail_chat.domain.commands import Command
from snowrail_chat.domain.dialogues import Dialogue
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.words import NOT_A_COMMAND
from snowrail_chat.store import dialogues
from snowrail_chat.usecases.batch import Batch, Posted, Understood
from snowrail_chat.usecases.preparation import Reading

_LEAVE = "cancel"


@dataclass(slots=True)
class _Held:
    """The dialogues of a batch's users: as they were found, and as they are now."""

    found: Mapping[UUID, Dialogue]
    changed: dict[UUID, Dialogue | None]

    def of(self, user_id: UUID) -> Dialogue | None:
        """Return the dialogue a user is in."""
        return self.changed[user_id] if user_id in self.changed else self.found.get(user_id)


async def understand(
    lines: Sequence[Posted], readings: Mapping[UUID, Reading], batch: Batch
) -> list[Understood]:
    """Return the commands that lines mean; those that mean none, or are part of a dialogue, are answered."""
    users = {line.user_id for line in lines}
    if not users:
        return []
    held = _Held(await dialogues.lock(batch.tx, users), {})
    understood: list[Understood] = []
    for line in sorted(lines, key=lambda line: line.posted_at):
        reading = readings[line.message_id]
        current = held.of(line.user_id)
        if isinstance(reading, Command):
            command = _command(line, reading, current, held, batch)
        elif current is not None and reading.code == NOT_A_COMMAND:
            command = _answer(line, current, held, batch)
        else:
            batch.refuse(line, reading, "unreadable")
            continue
        if command is not None:
            # what a dialogue made is a line of its own: errors point into it, not into the last answer
            understood.append(Understood(replace(line, text=command.line), command))
    await dialogues.save(batch.tx, held.changed)
    return understood


def _command(
    line: Posted, command: Command, current: Dialogue | None, held: _Held, batch: Batch
) -> Command | None:
    if current is not None:
        held.changed[line.user_id] = None
        if command.name == _LEAVE and not command.values:
            batch.answer(line, left_card(line.card_id, current))
            return None
        batch.remarks[line.message_id] = f"You left /{current.spec.name}; nothing came of it."
    if not command.missing:
        return command
    started = domain.begin(command)
    held.changed[line.user_id] = started
    batch.answer(line, question_card(line.card_id, started))
    return None


def _answer(line: Posted, current: Dialogue, held: _Held, batch: Batch) -> Command | None:
    step = domain.answer(current, line.text, batch.parts.vocabulary)
    if step.command is not None:
        held.changed[line.user_id] = None
        return step.command
    held.changed[line.user_id] = step.dialogue
    problem: CommandError | None = step.problem
    batch.answer(line, question_card(line.card_id, step.dialogue, problem, line.text))
    return None
