"""Dialogues: asking for what a command lacks, one question at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from snowrail_chat.domain import registry
from snowrail_chat.domain.commands import Command, parse, read_slot, render, show_slot
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.kinds import Kind, Vocabulary
from snowrail_chat.domain.specs import CommandSpec, Question
from snowrail_chat.domain.values import PaymentRows, Value
from snowrail_chat.domain.words import SEPARATOR

SKIP, DONE = "skip", "done"


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A command that is being put together.

    Attributes:
        spec: the command.
        given: words given for its arguments, clauses and options, by name; empty for what was skipped.
        options: values chosen, by name of the option.
        is_collecting: a set of payments was begun and may grow.
    """

    spec: CommandSpec
    given: Mapping[str, str]
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    is_collecting: bool = False

    @property
    def question(self) -> Question:
        """What is asked now."""
        for question in self.spec.questions:
            if question.slot not in self.given:
                return question
        return self.spec.questions[-1]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be asked."""
        return not self.is_collecting and all(question.slot in self.given for question in self.spec.questions)


@dataclass(frozen=True, slots=True)
class Step:
    """What an answer leads to: the next question, or the command.

    Attributes:
        problem: why the answer was not taken; the same question is asked again.
    """

    dialogue: Dialogue
    command: Command | None = None
    problem: CommandError | None = None


def begin(command: Command) -> Dialogue:
    """Return the dialogue that asks for what a command lacks."""
    given = {
        slot.name: show_slot(command.spec, slot, command.values[slot.name])
        for slot in command.spec.slots
        if slot.name in command.values
    }
    return Dialogue(command.spec, given, command.options)


def restore(command: str, stored: Mapping[str, object]) -> Dialogue | None:
    """Return a dialogue as it was stored; None when the command or what it asks has changed since."""
    spec = registry.find(command)
    given, options = stored.get("given"), stored.get("options")
    if spec is None or not spec.questions or not isinstance(given, dict) or not isinstance(options, dict):
        return None
    names = {slot.name for slot in spec.slots}
    texts: dict[str, str] = {str(name): str(text) for name, text in given.items()}
    chosen = {str(name): tuple(str(value) for value in values) for name, values in options.items()}
    return Dialogue(spec, texts, chosen, bool(stored.get("collecting"))) if set(texts) <= names else None


def store(dialogue: Dialogue) -> dict[str, object]:
    """Return what `restore` takes."""
    return {
        "given": dict(dialogue.given),
        "options": {name: list(values) for name, values in dialogue.options.items()},
        "collecting": dialogue.is_collecting,
    }


def answer(dialogue: Dialogue, text: str, vocabulary: Vocabulary) -> Step:
    """Return what an answer to the question leads to; what is not understood is asked again."""
    question, word = dialogue.question, text.strip().lower()
    slot = dialogue.spec.slot(question.slot)
    if dialogue.is_collecting and word == DONE:
        return _step(Dialogue(dialogue.spec, dialogue.given, dialogue.options), vocabulary)
    if word == SKIP and not slot.required:
        return _step(Dialogue(dialogue.spec, {**dialogue.given, slot.name: ""}, dialogue.options), vocabulary)
    before = dialogue.given.get(slot.name, "") if dialogue.is_collecting else ""
    try:
        value = read_slot(dialogue.spec, slot.name, text, vocabulary)
        if before:
            value = read_slot(
                dialogue.spec,
                slot.name,
                f"{before}{SEPARATOR} {show_slot(dialogue.spec, slot, value)}",
                vocabulary,
            )
    except CommandError as problem:
        return Step(dialogue, problem=problem)
    shown = show_slot(dialogue.spec, slot, value)
    collecting = slot.kind is Kind.PAYMENTS
    return _step(
        Dialogue(dialogue.spec, {**dialogue.given, slot.name: shown}, dialogue.options, collecting),
        vocabulary,
    )


def rows_of(dialogue: Dialogue, vocabulary: Vocabulary) -> int:
    """Return how many payments were collected so far."""
    given = dialogue.given.get(dialogue.question.slot, "")
    if not given:
        return 0
    value = read_slot(dialogue.spec, dialogue.question.slot, given, vocabulary)
    return len(value.rows) if isinstance(value, PaymentRows) else 0


def _step(dialogue: Dialogue, vocabulary: Vocabulary) -> Step:
    if not dialogue.is_complete:
        return Step(dialogue)
    try:
        values: dict[str, Value] = {
            name: read_slot(dialogue.spec, name, text, vocabulary)
            for name, text in dialogue.given.items()
            if text
        }
        # read as a line, so that errors about it can point into it
        command = parse(render(Command(dialogue.spec, values, dialogue.options)), vocabulary)
    except CommandError as problem:  # what was a word when it was given is none any more, such as a token
        return Step(dialogue, problem=problem)
    return Step(dialogue, command)
