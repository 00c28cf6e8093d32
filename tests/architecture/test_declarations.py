"""What services declare, what the topology grants, and what is written down agree."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from snowrail_events import EVENTS
from snowrail_kit.documents import documents_of
from snowrail_kit.service import Service
from snowrail_topology import CONSUMES

CHECKOUT = Path(__file__).parents[2]


def declaration(service: str) -> Service[Any, Any]:
    return importlib.import_module(f"snowrail_{service.replace('-', '_')}.app").service


@pytest.mark.parametrize("name", CONSUMES)
def test_a_service_handles_exactly_what_its_consumer_delivers(name: str) -> None:
    service = declaration(name)
    assert service.name == name
    assert {event.subject for event in service.consumed} == set(CONSUMES[name])


@pytest.mark.parametrize("name", CONSUMES)
def test_the_committed_documents_are_the_services(name: str) -> None:
    for file, text in documents_of(declaration(name)).items():
        assert (CHECKOUT / "contracts" / "api" / file).read_text() == text, f"{file}: run `make documents`"


def test_every_event_has_a_producer_that_exists_and_a_consumer() -> None:
    consumed = {subject for subjects in CONSUMES.values() for subject in subjects} | {"feed"}
    for subject, event in EVENTS.items():
        assert set(event.producers) <= set(CONSUMES), subject
        assert subject in consumed, f"nobody hears {subject}"
