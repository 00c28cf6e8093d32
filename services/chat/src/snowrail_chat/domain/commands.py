"""From a line to a command and back, as the registry says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from snowrail_chat.domain import registry
from snowrail_chat.domain.errors import CommandError, WordProblem
from snowrail_chat.domain.kinds import READINGS, Vocabulary, nearest
from snowrail_chat.domain.registry import Argument, CommandSpec, Option
from snowrail_chat.domain.values import Value
from snowrail_chat.domain.words import Flag, Line, Word, quote, read_line, replace_word

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Command:
    """A line understood.

    Attributes:
        values: by name of the argument; optional ones that were left out are missing.
        options: chosen values by name of the option, in the order typed.
        line: the line as typed.
        words: where each argument stands in it.
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
    """Return the command that a line means.

    Raises:
        CommandError: it means none; the error points at the first word at fault.
    """
    line = read_line(text)
    spec, items = _find_spec(line)
    words, options = _take_options(line, spec, items)
    values: dict[str, Value] = {}
    places: dict[str, Word] = {}
    remaining = list(words)
    for position, argument in enumerate(spec.arguments):
        if not remaining:
            if argument.required:
                raise _missing(line, spec, argument)
            continue
        word = _join(remaining) if argument.rest else remaining[0]
        if not argument.required and _belongs_later(word, spec.arguments[position:], vocabulary):
            continue
        values[argument.name] = _read(line, spec, argument, word, vocabulary)
        places[argument.name] = word
        remaining = [] if argument.rest else remaining[1:]
    if remaining:
        raise _too_many(line, spec, remaining[0])
    return Command(spec, values, options, text, places)


def render(command: Command) -> str:
    """Return the line that `parse` reads as this command."""
    parts = [f"/{command.name}"]
    for argument in command.spec.arguments:
        if argument.name in command.values:
            text = READINGS[argument.kind].show(command.values[argument.name])
            parts.append(text if argument.rest else quote(text))
    for name, values in command.options.items():
        parts.extend(f"--{name} {value}" for value in values)
    return " ".join(parts)


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
    assert spec is not None, "a command with parts can be used without one"
    return spec, line.items


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


def _belongs_later(word: Word, arguments: tuple[Argument, ...], vocabulary: Vocabulary) -> bool:
    """Whether an optional argument was left out: the word has not its shape but that of a later one."""
    fits = [READINGS[argument.kind].fits(word.text, vocabulary) for argument in arguments]
    return not fits[0] and any(fits[1:])


def _read(line: Line, spec: CommandSpec, argument: Argument, word: Word, vocabulary: Vocabulary) -> Value:
    try:
        return READINGS[argument.kind].read(word.text, vocabulary)
    except WordProblem as problem:
        raise _point(line.text, word, problem, spec) from problem


def _point(line: str, word: Word, problem: WordProblem, spec: CommandSpec) -> CommandError:
    suggestions = (replace_word(line, word, problem.replacement),) if problem.replacement else ()
    return CommandError(problem.code, str(problem), word.column, word.length, suggestions, _usage_notes(spec))


def _missing(line: Line, spec: CommandSpec, argument: Argument) -> CommandError:
    end = len(line.text.rstrip())
    return CommandError(
        "argument_missing",
        f"Say <{argument.name}>, {argument.description}.",
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


def _join(words: list[Word]) -> Word:
    last = words[-1]
    return Word(
        " ".join(word.text for word in words),
        words[0].column,
        last.column + last.length - words[0].column,
    )


def _usage_notes(spec: CommandSpec) -> tuple[str, ...]:
    example = f"Example: {spec.examples[0]}" if spec.examples else ""
    return tuple(note for note in (f"Usage: {spec.usage}", example) if note)
