"""The platform has one list of services, however often it is written down."""

from pathlib import Path

from snowrail_delivery.catalogue import SERVICES
from snowrail_local.service_table import SERVICES as LOCAL_SERVICES
from snowrail_topology import CONSUMES


def test_everybody_means_the_same_services(repository: Path) -> None:
    names = {service.name for service in SERVICES}
    assert set(CONSUMES) == names
    assert {path.parent.name for path in (repository / "services").glob("*/pyproject.toml")} == names
    assert {service.name for service in LOCAL_SERVICES} == names


def test_whoever_keeps_state_has_migrations(repository: Path) -> None:
    for service in SERVICES:
        folder = repository / "services" / service.name / "migrations"
        assert folder.is_dir() == service.has_database, service.name
