"""The registry is the one source: handlers, usage and the document agree with it."""

from dataclasses import replace

import pytest

from snowrail_chat.app import service
from snowrail_chat.commands_document import commands_document, main
from snowrail_chat.domain import registry
from snowrail_chat.domain.menus import telegram_menu
from snowrail_chat.domain.registry import COMMANDS
from snowrail_chat.domain.specs import CommandSpec
from snowrail_chat.usecases.commands import HANDLERS
from snowrail_local.paths import CHECKOUT
from snowrail_topology import CONSUMES


def test_every_command_has_one_handler() -> None:
    assert set(HANDLERS) == {spec.name for spec in COMMANDS}
    assert len({name for spec in COMMANDS for name in (spec.name, *spec.aliases)}) == sum(
        1 + len(spec.aliases) for spec in COMMANDS
    )


def test_what_is_consumed_is_what_the_topology_delivers() -> None:
    assert {event.subject for event in service.consumed} == set(CONSUMES["chat"])


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)
def test_optional_arguments_follow_required_ones(spec: CommandSpec) -> None:
    required = [argument.required for argument in spec.arguments]
    assert required == sorted(required, reverse=True)
    assert all(not argument.rest for argument in spec.arguments[:-1])
    assert spec.examples
    assert spec.summary.endswith(".")


def test_limits_are_those_of_the_specification() -> None:
    limits = {spec.name: (spec.limit.count, spec.limit.seconds) for spec in COMMANDS if spec.limit}
    assert limits["pay"] == limits["recurring setup"] == limits["request"] == (10, 60)
    assert limits["deposit"] == limits["withdraw"] == limits["template run"] == (5, 60)
    assert (registry.MESSAGE_LIMIT.count, registry.MESSAGE_LIMIT.seconds) == (50, 60)


def test_the_menu_of_messengers_follows_from_the_registry() -> None:
    menu = telegram_menu(frozenset({"user"}))
    assert [entry.command for entry in menu] == list(dict.fromkeys(spec.name.split()[0] for spec in COMMANDS))
    assert all(1 <= len(entry.description) <= 256 for entry in menu)
    assert next(entry for entry in menu if entry.command == "pay").description == COMMANDS[0].summary
    assert telegram_menu(frozenset()) == []


@pytest.mark.parametrize("spec", [spec for spec in COMMANDS if spec.questions], ids=lambda spec: spec.name)
def test_dialogues_ask_for_all_that_is_needed(spec: CommandSpec) -> None:
    asked = {question.slot for question in spec.questions}
    assert {slot.name for slot in spec.slots if slot.required} <= asked <= {slot.name for slot in spec.slots}


def test_roles_permit() -> None:
    spec = replace(COMMANDS[0], roles=frozenset({"business", "admin"}))
    assert registry.permitted(spec, frozenset({"user", "admin"}))
    assert not registry.permitted(spec, frozenset({"user"}))


def test_the_committed_document_is_in_step() -> None:
    committed = (CHECKOUT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert committed == commands_document(), "run python -m snowrail_chat.commands_document"


def test_the_document_is_written_where_asked(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("documents") / "inside" / "commands.md"
    main([str(file)])
    assert file.read_text(encoding="utf-8") == commands_document()
