"""Cards that explain: errors, limits, refusals, help and short notices."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from snowrail_chat.cards.wording import duration
from snowrail_chat.domain import registry
from snowrail_chat.domain.cards import Action, Card, Row, Style
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.specs import CommandSpec, RateLimit

_EXCERPT_CHARACTERS = 100
_LABEL_CHARACTERS = 60


def error_card(card_id: UUID, line: str, error: CommandError) -> Card:
    """Return the card of a line that could not be run, with its offending word underlined."""
    return Card(
        card_id=card_id,
        kind="error",
        title=error.message,
        status=error.code,
        rows=(Row("Line", underline(line, error.column, error.length), mono=True),) if line.strip() else (),
        actions=tuple(
            Action(_label(suggestion), suggestion, Style.PRIMARY if index == 0 else Style.SECONDARY)
            for index, suggestion in enumerate(error.suggestions)
        ),
        notes=error.notes,
    )


def underline(line: str, column: int, length: int) -> str:
    """Return a line with the word at a column marked beneath; a long line is cut around it."""
    plain = "".join(character if character.isprintable() else " " for character in line)
    start = max(0, min(column - _EXCERPT_CHARACTERS // 2, len(plain) - _EXCERPT_CHARACTERS))
    shown = plain[start : start + _EXCERPT_CHARACTERS]
    width = max(1, min(length, len(shown) - (column - start)))
    head, tail = "…" * (start > 0), "…" * (start + _EXCERPT_CHARACTERS < len(plain))
    return f"{head}{shown}{tail}\n{' ' * (len(head) + column - start)}{'^' * width}"


def limit_card(card_id: UUID, line: str, what: str, limit: RateLimit, retry_after_seconds: int) -> Card:
    """Return the card that says when to try again."""
    return Card(
        card_id=card_id,
        kind="limit",
        title=f"Too many {what}: at most {limit}.",
        status="rate_limited",
        rows=(Row("Try again", f"in {duration(retry_after_seconds)}"),),
        actions=(Action("Try again", line),),
        retry_after_seconds=retry_after_seconds,
    )


def refusal_card(
    card_id: UUID,
    title: str,
    code: str,
    detail: str,
    actions: Sequence[Action] = (),
    remarks: Sequence[str] = (),
) -> Card:
    """Return the card of a request that changed nothing."""
    return Card(card_id, "error", title, code, actions=tuple(actions), notes=(detail, *remarks))


def with_remark(card: Card, remark: str) -> Card:
    """Return a card with one more note."""
    return replace(card, notes=(*card.notes, remark))


def notice_card(card_id: UUID, title: str, status: str | None = None, notes: Sequence[str] = ()) -> Card:
    """Return a card of a few words."""
    return Card(card_id, "notice", title, status, notes=tuple(notes))


def help_card(card_id: UUID, roles: frozenset[str]) -> Card:
    """Return the card that lists the commands these roles may use."""
    specs = [spec for spec in registry.COMMANDS if registry.permitted(spec, roles)]
    return Card(
        card_id=card_id,
        kind="help",
        title="Commands",
        rows=tuple(Row(f"/{spec.name}", f"{spec.summary}\n{spec.usage}") for spec in specs),
        notes=("Type /help and a command for its details. Names with spaces go into quotes.",),
    )


def command_help_card(card_id: UUID, spec: CommandSpec) -> Card:
    """Return the card that explains one command."""
    rows = [Row("Usage", spec.usage, mono=True)]
    rows += [Row(slot.usage, slot.description) for slot in spec.slots]
    rows += [
        Row(f"--{option.name}", f"{' or '.join(option.values)}: {option.help}") for option in spec.options
    ]
    if spec.limit is not None:
        rows.append(Row("Limit", str(spec.limit)))
    rows += [Row("Example", example, mono=True) for example in spec.examples]
    return Card(
        card_id=card_id,
        kind="help",
        title=f"/{spec.name}: {spec.summary}",
        rows=tuple(rows),
        actions=tuple(Action(_label(example), example, draft=True) for example in spec.examples),
        notes=(spec.details,) if spec.details else (),
    )


def _label(line: str) -> str:
    return line if len(line) <= _LABEL_CHARACTERS else f"{line[: _LABEL_CHARACTERS - 1]}…"
