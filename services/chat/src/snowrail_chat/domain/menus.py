"""The menu of commands that messengers show."""

import re
from dataclasses import dataclass

from snowrail_chat.domain import registry

MAX_NAME_CHARACTERS = 32
MAX_DESCRIPTION_CHARACTERS = 256
MAX_COMMANDS = 100
_NAME = re.compile(rf"[a-z0-9_]{{1,{MAX_NAME_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class BotCommand:
    """One entry of a Telegram bot's menu (Bot API, `setMyCommands`)."""

    command: str
    description: str


def telegram_menu(roles: frozenset[str]) -> list[BotCommand]:
    """Return the menu for somebody with these roles: each first word once, as the Bot API takes them."""
    menu: dict[str, BotCommand] = {}
    for spec in registry.COMMANDS:
        first = spec.name.partition(" ")[0]
        if not registry.permitted(spec, roles):
            continue
        assert _NAME.fullmatch(first), f"{first} is no name for the Bot API"
        if first not in menu or spec.name == first:
            menu[first] = BotCommand(first, spec.summary[:MAX_DESCRIPTION_CHARACTERS])
    return list(menu.values())[:MAX_COMMANDS]
