"""The registry is the one source: handlers, usage and the document agree with it."""

from dataclasses import replace

import pytest

from snowrail_chat.app import service
from snowrail_chat.commands_document import commands_document, main
from snowrail_chat.domain import registry
from snowrail_chat.domain.registry import COMMANDS, CommandSpec
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
    assert limits == {"pay": (10, 60), "deposit": (5, 60), "withdraw": (5, 60)}
    assert (registry.MESSAGE_LIMIT.count, registry.MESSAGE_LIMIT.seconds) == (50, 60)


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
