"""From a line to a command and back, as the registry says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from snowrail_chat.domain import registry
from snowrail_chat.domain.errors import CommandError, WordProblem
from snowrail_chat.domain.kinds import READINGS, Kind, Vocabulary
from snowrail_chat.domain.nearness import nearest
from snowrail_chat.domain.payment_rows import read_rows, show_rows
from snowrail_chat.domain.specs import Argument, Clause, CommandSpec, Option, Slot
from snowrail_chat.domain.values import Choice, PaymentRows, Value
from snowrail_chat.domain.words import (
    Flag,
    Line,
    Word,
    in_quotes,
    join_words,
    quote,
    read_line,
    replace_word,
)

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Command:
    """A line understood.

    Attributes:
        values: by name of the argument or clause; optional ones that were left out are missing.
        options: chosen values by name of the option, in the order typed.
        line: the line as typed.
        words: where each argument and clause stands in it.
    """

    spec: CommandSpec
    values: Mapping[str, Value]
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    line: str = field(default="", compare=False)
    words: Mapping[str, Word] = field(default_factory=dict[str, Word], compare=False)

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return self.spec.name

    @property
    def missing(self) -> tuple[str, ...]:
        """What it needs and a dialogue has to ask for."""
        return tuple(slot.name for slot in self.spec.slots if slot.required and slot.name not in self.values)

    def value(self, argument: str, kind: type[V]) -> V:
        """Return the value of an argument that is always there."""
        value = self.values[argument]
        assert isinstance(value, kind), f"{argument} is a {type(value).__name__}"
        return value

    def optional(self, argument: str, kind: type[V]) -> V | None:
        """Return the value of an argument, None if it was left out."""
        return self.value(argument, kind) if argument in self.values else None

    def at(self, argument: str, problem: WordProblem) -> CommandError:
        """Return a problem with the value of an argument as an error that points at its word."""
        return _point(self.line, self.words[argument], problem, self.spec)

    def with_option(self, name: str, value: str) -> "Command":
        """Return the same command with one more option."""
        chosen = self.options.get(name, ())
        if value in chosen:
            return self
        return Command(self.spec, self.values, {**self.options, name: (*chosen, value)})


def parse(text: str, vocabulary: Vocabulary) -> Command:
    """Return the command that a line means; with something missing only where a dialogue can ask for it.

    Raises:
        CommandError: it means none; the error points at the first word at fault.
    """
    line = read_line(text)
    spec, items = _find_spec(line)
    words, options = _take_options(line, spec, items)
    words, clauses = _take_clauses(spec, words)
    values: dict[str, Value] = {}
    places: dict[str, Word] = {}
    remaining = list(words)
    for position, argument in enumerate(spec.arguments):
        if not remaining:
            if argument.required and not spec.questions:
                raise _missing(line, spec, argument)
            continue
        word = join_words(remaining) if argument.rest else remaining[0]
        if not argument.required and _belongs_later(word, spec.arguments[position:], vocabulary):
            continue
        values[argument.name] = _read(line, spec, argument, word, vocabulary)
        places[argument.name] = word
        remaining = [] if argument.rest else remaining[1:]
    if remaining:
        raise _too_many(line, spec, remaining[0])
    for clause in spec.clauses:
        if clause.name in clauses:
            word = clauses[clause.name]
            values[clause.name] = _read(line, spec, clause, word, vocabulary)
            places[clause.name] = word
        elif clause.required and not spec.questions:
            raise _missing(line, spec, clause)
    return Command(spec, values, options, text, places)


def render(command: Command) -> str:
    """Return the line that `parse` reads as this command."""
    parts = [f"/{command.name}"]
    parts += [
        show_slot(command.spec, slot, command.values[slot.name])
        for slot in command.spec.slots
        if slot.name in command.values
    ]
    for name, values in command.options.items():
        parts.extend(f"--{name} {value}" for value in values)
    return " ".join(parts)


def read_slot(spec: CommandSpec, name: str, text: str, vocabulary: Vocabulary) -> Value:
    """Return the value that an answer gives for one argument or clause of a command.

    Raises:
        CommandError: it gives none.
    """
    slot = spec.slot(name)
    if not text.strip():
        raise CommandError("argument_missing", f"Say {slot.description}.")
    prefix = f"/{spec.name.partition(' ')[0]} "
    if isinstance(slot, Clause) and slot.reads_keyword and text.split()[0].lower() not in slot.begins_with:
        prefix += f"{slot.name} "
    line = read_line(prefix + text)
    words = [item for item in line.items if isinstance(item, Word)]
    if len(words) != len(line.items):
        raise CommandError("unknown_option", f"Say only {slot.description}.", 0, len(text))
    if isinstance(slot, Clause) and not slot.reads_keyword and len(words) > 1:
        words = words[words[0].text.lower() in slot.begins_with :]
    try:
        return _read(line, spec, slot, join_words(words), vocabulary)
    except CommandError as error:
        column = max(error.column - len(prefix), 0)
        suggestions = tuple(line[len(prefix) :] for line in error.suggestions)
        raise CommandError(error.code, error.message, column, error.length, suggestions) from error


def show_slot(spec: CommandSpec, slot: Slot, value: Value) -> str:
    """Return the words of a line that give a value for an argument or clause."""
    if isinstance(value, PaymentRows):
        return show_rows(value)
    if isinstance(value, Choice):
        return value.word
    text = READINGS[slot.kind].show(value)
    if isinstance(slot, Clause):
        return text if slot.reads_keyword else f"{slot.name} {text}"
    if slot.kind is Kind.MEMO:
        return in_quotes(text)  # it would be taken for a currency otherwise, were it one's symbol
    return text if slot.rest else quote(text, spec.keywords)


def _find_spec(line: Line) -> tuple[CommandSpec, tuple[Word | Flag, ...]]:
    first = line.command.text[1:].lower()
    if first not in registry.FIRST_WORDS:
        guess = nearest(first, registry.FIRST_WORDS)
        suggestion = replace_word(line.text, line.command, f"/{guess}") if guess else "/help"
        hint = f"Did you mean /{guess}?" if guess else "Type /help to see all commands."
        raise CommandError(
            "unknown_command",
            f"There is no command {line.command.text}. {hint}",
            line.command.column,
            line.command.length,
            (suggestion,),
        )
    second = line.items[0] if line.items else None
    if isinstance(second, Word):
        spec = registry.find(f"{first} {second.text.lower()}")
        if spec is not None:
            return spec, line.items[1:]
        if parts := registry.parts_of(first):
            raise _unknown_part(line, first, second, parts)
    spec = registry.find(first)
    if spec is None:
        raise _part_missing(line, first)
    return spec, line.items


def _part_missing(line: Line, first: str) -> CommandError:
    parts = registry.parts_of(first)
    return CommandError(
        "argument_missing",
        f"Say what to do: /{first} takes {', '.join(parts)}.",
        len(line.text.rstrip()) + 1,
        0,
        tuple(f"/{first} {part}" for part in parts),
    )


def _unknown_part(line: Line, first: str, word: Word, parts: tuple[str, ...]) -> CommandError:
    guess = nearest(word.text.lower(), parts)
    return CommandError(
        "unknown_command",
        f"/{first} does not know '{word.text}'; it takes {', '.join(parts)}.",
        word.column,
        word.length,
        (replace_word(line.text, word, guess),) if guess else (),
    )


def _take_options(
    line: Line, spec: CommandSpec, items: tuple[Word | Flag, ...]
) -> tuple[list[Word], dict[str, tuple[str, ...]]]:
    words: list[Word] = []
    options: dict[str, tuple[str, ...]] = {}
    pending = list(items)
    while pending:
        item = pending.pop(0)
        if isinstance(item, Word):
            words.append(item)
            continue
        option = _find_option(line, spec, item)
        if not pending or not isinstance(pending[0], Word):
            raise CommandError(
                "option_value_missing",
                f"Say what --{option.name} is: {' or '.join(option.values)}.",
                item.column,
                item.length,
                _completed(line, item, option),
                _usage_notes(spec),
            )
        value = _option_value(line, spec, option, pending.pop(0))
        chosen = options.get(option.name, ())
        options[option.name] = chosen if value in chosen else (*chosen, value)
    return words, options


def _find_option(line: Line, spec: CommandSpec, flag: Flag) -> Option:
    for option in spec.options:
        if option.name == flag.name:
            return option
    known = [option.name for option in spec.options]
    guess = nearest(flag.name, known)
    hint = f"Did you mean --{guess}?" if guess else f"/{spec.name} takes {_listed(known)}."
    word = Word(flag.name, flag.column, flag.length)
    raise CommandError(
        "unknown_option",
        f"/{spec.name} does not know --{flag.name}. {hint}",
        flag.column,
        flag.length,
        (replace_word(line.text, word, f"--{guess}"),) if guess else (),
        _usage_notes(spec),
    )


def _listed(options: list[str]) -> str:
    return " and ".join(f"--{name}" for name in options) if options else "no options"


def _completed(line: Line, flag: Flag, option: Option) -> tuple[str, ...]:
    end = flag.column + flag.length
    return tuple(f"{line.text[:end]} {value}{line.text[end:]}" for value in option.values)


def _option_value(line: Line, spec: CommandSpec, option: Option, item: Word | Flag) -> str:
    assert isinstance(item, Word), "the caller has looked"
    value = item.text.lower()
    if value in option.values:
        return value
    problem = WordProblem(
        "option_value_unknown",
        f"--{option.name} can be {' or '.join(option.values)}, not '{item.text}'.",
        nearest(value, option.values),
    )
    raise _point(line.text, item, problem, spec)


def _take_clauses(spec: CommandSpec, words: list[Word]) -> tuple[list[Word], dict[str, Word]]:
    """Part the words before the first keyword from the clauses; what is needed first is never a keyword."""
    keywords = spec.keywords
    needed = sum(argument.required for argument in spec.arguments)
    starts = [
        position
        for position, word in enumerate(words)
        if word.text.lower() in keywords
        and not word.quoted
        and (position >= needed or (bool(spec.questions) and position > 0))
    ]
    if not starts:
        return words, {}
    taken: dict[str, Word] = {}
    for position, start in enumerate(starts):
        end = starts[position + 1] if position + 1 < len(starts) else len(words)
        clause = keywords[words[start].text.lower()]
        if clause.name in taken:
            raise _said_twice(spec, clause, words[start])
        kept = words[start:end] if clause.reads_keyword else words[start + 1 : end]
        if not kept:
            raise _clause_empty(spec, clause, words[start])
        taken[clause.name] = join_words(kept)
    return words[: starts[0]], taken


def _said_twice(spec: CommandSpec, clause: Clause, word: Word) -> CommandError:
    message = f"'{word.text}' says a second time {clause.help}. Say it once."
    return CommandError("said_twice", message, word.column, word.length, (), _usage_notes(spec))


def _clause_empty(spec: CommandSpec, clause: Clause, word: Word) -> CommandError:
    message = f"Say {clause.description}, after '{word.text}'."
    end = word.column + word.length
    return CommandError("argument_missing", message, end + 1, 0, (), _usage_notes(spec))


def _belongs_later(word: Word, arguments: tuple[Argument, ...], vocabulary: Vocabulary) -> bool:
    """Whether an optional argument was left out: the word has not its shape but that of a later one."""
    if word.quoted and any(argument.kind is Kind.MEMO for argument in arguments[1:]):
        return True
    fits = [READINGS[argument.kind].fits(word.text, vocabulary) for argument in arguments]
    return not fits[0] and any(fits[1:])


def _read(line: Line, spec: CommandSpec, slot: Slot, word: Word, vocabulary: Vocabulary) -> Value:
    try:
        if isinstance(slot, Argument) and slot.choices:
            return _read_choice(slot, word)
        if slot.kind is Kind.PAYMENTS:
            return read_rows(line, word, vocabulary)
        return READINGS[slot.kind].read(word.text, vocabulary)
    except WordProblem as problem:
        raise _point(line.text, word, problem, spec) from problem


def _read_choice(argument: Argument, word: Word) -> Choice:
    text = word.text.lower()
    if text in argument.choices:
        return Choice(text)
    raise WordProblem(
        "choice_unknown",
        f"'{word.text}' is none of {', '.join(argument.choices)}.",
        nearest(text, argument.choices),
    )


def _point(line: str, word: Word, problem: WordProblem, spec: CommandSpec) -> CommandError:
    suggestions = tuple(replace_word(line, word, replacement) for replacement in problem.replacements)
    fault = word.part(problem.start, problem.length)
    return CommandError(
        problem.code, str(problem), fault.column, fault.length, suggestions, _usage_notes(spec)
    )


def _missing(line: Line, spec: CommandSpec, argument: Slot) -> CommandError:
    end = len(line.text.rstrip())
    return CommandError(
        "argument_missing",
        f"Say {argument.usage}, {argument.description}.",
        end + 1,
        0,
        (),
        _usage_notes(spec),
    )


def _too_many(line: Line, spec: CommandSpec, word: Word) -> CommandError:
    hint = (
        "Send one command per message."
        if word.text.startswith("/")
        else ("Put a name with spaces into quotes." if spec.arguments else "It takes nothing.")
    )
    return CommandError(
        "too_many_words",
        f"/{spec.name} takes nothing at '{word.text}'. {hint}",
        word.column,
        word.length,
        (line.text[: word.column].rstrip(),),
        _usage_notes(spec),
    )


def _usage_notes(spec: CommandSpec) -> tuple[str, ...]:
    example = f"Example: {spec.examples[0]}" if spec.examples else ""
    return tuple(note for note in (f"Usage: {spec.usage}", example) if note)
