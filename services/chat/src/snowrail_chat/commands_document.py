"""`python -m snowrail_chat.commands_document [file]`: writes docs/commands.md from the command registry."""

import sys
from pathlib import Path

from snowrail_chat.domain.registry import COMMANDS, MESSAGE_LIMIT
from snowrail_chat.domain.specs import CommandSpec

DEFAULT_FILE = Path("docs/commands.md")

_INTRODUCTION = f"""# Commands

Generated from the command registry of the chat service (`services/chat`) by
`python -m snowrail_chat.commands_document`; a test keeps it in step.

A line is a command name and its arguments, separated by spaces. Names of commands may be written in any
case. A word with spaces goes into quotes: `"Rent account"`; inside quotes, `\\"` is a quote and `\\\\` a
backslash. Amounts are positive plain decimals with at most the token's places: digits and at most one point,
no thousands separators, no exponents, no signs. Addresses are accepted in their EIP-55 form only. Ids are the
8 digits shown on a card, or the whole id. A line that is not understood is answered with the word at fault
and what to type instead; nothing is guessed.

Words after a keyword, such as `at tomorrow 9am`, come last; a name that is such a word goes into quotes.
What is typed is kept with these normalisations only: names of commands, users, days and keywords in lower
case, currencies in capitals, other words for a sign as the sign (`below` is `<`), dates as year-month-day,
times of the day as 24 hours, units of time in full, aliases as the name, ids without `#` and dashes, links
as their code, the slash of a command that help is asked about, and unneeded quotes, spaces and repeated
options left out.

A user may send {MESSAGE_LIMIT.count} lines in {MESSAGE_LIMIT.seconds} seconds, whatever they are; some
commands have limits of their own.
"""


def commands_document() -> str:
    """Return the document in Markdown."""
    table = ["| command | does |", "|---|---|"]
    table += [f"| `{_cell(spec.usage)}` | {spec.summary} |" for spec in COMMANDS]
    sections = [_section(spec) for spec in COMMANDS]
    return "\n".join([_INTRODUCTION, *table, "", *sections])


def _section(spec: CommandSpec) -> str:
    lines = [f"## /{spec.name}", "", spec.summary, "", f"    {spec.usage}", ""]
    lines += [f"- `{slot.usage}` {slot.description}" for slot in spec.slots]
    lines += [
        f"- `--{option.name}` {' or '.join(f'`{value}`' for value in option.values)}: {option.help}"
        for option in spec.options
    ]
    if spec.aliases:
        lines.append(f"- also {', '.join(f'`/{alias}`' for alias in spec.aliases)}")
    lines.append(f"- role: {' or '.join(sorted(spec.roles))}")
    if spec.limit is not None:
        lines.append(f"- limit: {spec.limit}")
    lines += ["", *(f"    {example}" for example in spec.examples), ""]
    if spec.details:
        lines += [spec.details, ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> None:
    """Write the document to the file named, or to where the repository keeps it."""
    file = Path(arguments[0]) if arguments else DEFAULT_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(commands_document(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
