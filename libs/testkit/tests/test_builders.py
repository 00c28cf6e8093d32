"""Built models are valid, known in advance, and say so when they cannot be built."""

import enum
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from eth_utils.address import is_checksum_address
from pydantic import BaseModel, Field, ValidationError

from snowrail_events import EVENTS
from snowrail_testkit import Builder, build
from snowrail_testkit.builders import CannotBuildError


class Colour(enum.StrEnum):
    RED = "red"


class Part(BaseModel):
    count: int = Field(ge=3, lt=9)


class Everything(BaseModel):
    id: UUID
    when: datetime
    colour: Colour
    part: Part
    parts: list[Part]
    pair: tuple[int, str]
    mapping: dict[str, Any]
    choice: Literal["a", "b"]
    optional: int | None
    flag: bool
    above: int = Field(gt=41)
    address: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
    short: Annotated[str, Field(max_length=3)]
    long: Annotated[str, Field(min_length=120)]
    preset: str = "kept"


class Impossible(BaseModel):
    text: Annotated[str, Field(pattern=r"^#{7}!$")]


@pytest.mark.parametrize("subject", sorted(EVENTS))
def test_every_event_can_be_built_and_survives_the_wire(subject: str) -> None:
    event = build(EVENTS[subject])
    assert EVENTS[subject].model_validate_json(event.model_dump_json()) == event


def test_values_follow_their_types() -> None:
    made = Builder()(Everything)
    assert 3 <= made.part.count < 9
    assert made.above == 42
    assert is_checksum_address(made.address)
    assert len(made.long) == 120
    assert made.preset == "kept"


def test_two_builders_make_the_same() -> None:
    assert Builder()(Everything) == Builder()(Everything)


def test_one_builder_never_repeats_an_id_or_address() -> None:
    builder = Builder()
    first, second = builder(Everything), builder(Everything)
    assert first.id != second.id
    assert first.address != second.address


def test_overrides_are_taken_and_checked() -> None:
    assert build(Part, count=5).count == 5
    with pytest.raises(ValidationError):
        build(Part, count=9)
    with pytest.raises(TypeError, match="has no field cuont"):
        build(Part, cuont=5)


def test_what_cannot_be_built_is_named() -> None:
    with pytest.raises(CannotBuildError, match=r"Impossible\.text"):
        build(Impossible)
    assert build(Impossible, text="#######!").text == "#######!"
