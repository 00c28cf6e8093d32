"""Events are frozen: schemas as committed, and peers of either age understand each other."""

import copy
import json
from typing import Any

import jsonschema
import pytest

from snowrail_events import EVENTS, Event
from snowrail_events.fields import MAX_ATOMS, parse_atoms
from snowrail_events.golden import (
    FOLDER,
    IncompatibleChange,
    check_compatible,
    golden_file,
    render,
    schema_of,
)
from snowrail_testkit import Builder

ALL = [pytest.param(event, id=subject) for subject, event in EVENTS.items()]


@pytest.mark.parametrize("event", ALL)
def test_the_committed_schema_is_the_events(event: type[Event]) -> None:
    assert golden_file(event).read_text() == render(schema_of(event)), "run `make documents`"


def test_no_schema_is_left_of_an_event_that_is_gone() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(EVENTS)


@pytest.mark.parametrize("event", ALL)
def test_what_is_written_fits_the_schema_and_is_read_back(event: type[Event], build: Builder) -> None:
    written = build(event)
    body = written.model_dump_json(exclude_none=True)
    jsonschema.validate(json.loads(body), json.loads(golden_file(event).read_text()))
    assert event.model_validate_json(body) == written


@pytest.mark.parametrize("event", ALL)
def test_an_old_reader_ignores_what_a_newer_writer_added(event: type[Event], build: Builder) -> None:
    written = build(event)
    body = {**json.loads(written.model_dump_json()), "added_later": {"by": "a newer version"}}
    assert event.model_validate_json(json.dumps(body)) == written


@pytest.mark.parametrize("event", ALL)
def test_a_new_reader_accepts_an_event_without_optional_fields(event: type[Event], build: Builder) -> None:
    body = json.loads(build(event).model_dump_json())
    required = schema_of(event).get("required", [])
    minimal = {name: value for name, value in body.items() if name in required}
    event.model_validate_json(json.dumps(minimal))


def example() -> dict[str, Any]:
    """A schema with a nested part."""
    return {
        "properties": {"a": {"type": "string"}, "b": {"$ref": "#/$defs/Part"}},
        "required": ["a"],
        "$defs": {"Part": {"properties": {"x": {"type": "integer"}}, "required": []}},
    }


def test_an_optional_field_may_be_added_anywhere() -> None:
    new = copy.deepcopy(example())
    new["properties"]["c"] = {"type": "string"}
    new["$defs"]["Part"]["properties"]["y"] = {"type": "string"}
    check_compatible(example(), new)


def broken_examples() -> dict[str, dict[str, Any]]:
    """The example, broken in every way there is."""
    broken = {
        name: copy.deepcopy(example()) for name in ("gone", "changed", "required", "part", "inner", "need")
    }
    broken["gone"]["properties"].pop("a")
    broken["changed"]["properties"]["a"] = {"type": "integer"}
    broken["required"]["required"].append("b")
    broken["part"]["$defs"].pop("Part")
    broken["inner"]["$defs"]["Part"]["properties"].pop("x")
    broken["need"]["$defs"]["Part"]["required"].append("x")
    return broken


@pytest.mark.parametrize("name", list(broken_examples()))
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(IncompatibleChange):
        check_compatible(example(), broken_examples()[name])


@pytest.mark.parametrize("value", ["01", "1.0", "-1", "1e3", "", " 1", True, 1.5, None, str(MAX_ATOMS + 1)])
def test_an_amount_is_a_canonical_integer(value: Any) -> None:
    with pytest.raises(ValueError, match="atoms"):
        parse_atoms(value)


@pytest.mark.parametrize("event", ALL)
def test_an_event_names_its_subject_producers_and_aggregate(event: type[Event], build: Builder) -> None:
    assert event.__name__.endswith("V1")
    assert event.producers
    assert event.aggregate in event.model_fields
    assert build(event).aggregate_id()
    assert event.__doc__
