"""What can stand at the end of a line that is still being typed."""

from dataclasses import dataclass

from snowrail_chat.domain import registry
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.kinds import Kind
from snowrail_chat.domain.specs import Clause, CommandSpec
from snowrail_chat.domain.words import Flag, Line, Word, close_open_quote, read_line


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cursor is: at the end of the line.

    Attributes:
        start: offset of the word that is being typed; what is offered replaces the line from there.
        prefix: what of it is typed already, without quotes.
        commands: names of commands that begin so, where a command is being typed.
        kind: what is expected, where an argument is being typed.
        words: fixed words that may stand there, such as values of an option or keywords of clauses.
        usage: usage line of the command, once it is known.
    """

    start: int
    prefix: str
    commands: tuple[CommandSpec, ...] = ()
    kind: Kind | None = None
    words: tuple[str, ...] = ()
    usage: str | None = None


def place_of(text: str, roles: frozenset[str]) -> Place:
    """Return what is expected at the end of a line."""
    stripped = text.lstrip()
    if not stripped.startswith("/"):
        commands = _commands("", roles) if not stripped else ()
        return Place(len(text) - len(stripped), stripped, commands=commands)
    try:
        line = read_line(close_open_quote(text))
    except CommandError:
        return Place(len(text), "")
    new_word = text[-1].isspace() and close_open_quote(text) == text
    if not line.items and not new_word:
        name = line.command.text[1:].lower()
        return Place(line.command.column, line.command.text, commands=_commands(name, roles))
    return _argument_place(text, line, new_word, roles)


def _commands(prefix: str, roles: frozenset[str]) -> tuple[CommandSpec, ...]:
    return tuple(
        spec for spec in registry.COMMANDS if spec.name.startswith(prefix) and registry.permitted(spec, roles)
    )


def _argument_place(text: str, line: Line, new_word: bool, roles: frozenset[str]) -> Place:
    items = list(line.items)
    typed = None if new_word else items.pop()
    start = len(text) if typed is None else typed.column
    prefix = "" if typed is None else f"--{typed.name}" if isinstance(typed, Flag) else typed.text
    first = line.command.text[1:].lower()
    spec = registry.find(first)
    if items and isinstance(items[0], Word):
        whole = registry.find(f"{first} {items[0].text.lower()}")
        if whole is not None:
            spec, items = whole, items[1:]
    parts = registry.parts_of(first)
    if spec is None and not items:
        return Place(start, prefix, words=_beginning(parts, prefix))
    if spec is None or not registry.permitted(spec, roles):
        return Place(start, prefix)
    if parts and spec is registry.find(first) and not items:
        usage = spec.usage if spec.name == first else None
        return Place(start, prefix, words=_beginning(parts, prefix), usage=usage)
    return _expected(spec, items, start, prefix)


def _expected(spec: CommandSpec, items: list[Word | Flag], start: int, prefix: str) -> Place:
    if items and isinstance(items[-1], Flag):
        flag = items[-1].name
        values = next((option.values for option in spec.options if option.name == flag), ())
        return Place(start, prefix, words=_beginning(values, prefix), usage=spec.usage)
    options = _beginning(tuple(f"--{option.name}" for option in spec.options), prefix)
    if prefix.startswith("-"):
        return Place(start, prefix, words=options, usage=spec.usage)
    words = [item for item in items if isinstance(item, Word)]
    clauses = _clauses_begun(spec, words)
    keywords = tuple(
        keyword
        for keyword, clause in spec.keywords.items()
        if clause.name not in {item.name for item in clauses}
    )
    further = _beginning(keywords, prefix) + options
    if clauses:
        # a value out of a list can be offered only while none of its words is typed
        kind = clauses[-1].kind if words[-1].text.lower() in clauses[-1].begins_with else None
        return Place(start, prefix, kind=kind, words=() if kind else further, usage=spec.usage)
    position = len(words) - sum(isinstance(item, Flag) for item in items)
    if position >= len(spec.arguments) and not (spec.arguments and spec.arguments[-1].rest):
        return Place(start, prefix, words=further, usage=spec.usage)
    argument = spec.arguments[min(position, len(spec.arguments) - 1)]
    shown = argument.choices if argument.required else argument.choices + keywords
    return Place(start, prefix, kind=argument.kind, words=_beginning(shown, prefix), usage=spec.usage)


def _clauses_begun(spec: CommandSpec, words: list[Word]) -> list[Clause]:
    needed = sum(argument.required for argument in spec.arguments)
    return [
        spec.keywords[word.text.lower()]
        for word in words[needed:]
        if word.text.lower() in spec.keywords and not word.quoted
    ]


def _beginning(words: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    return tuple(word for word in words if word.startswith(prefix.lower()))
