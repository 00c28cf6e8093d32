"""The compose file, read by docker compose: complete, closed in itself, and safe."""

from pathlib import Path
from typing import Any

import pytest

from snowrail_delivery.catalogue import SERVICES
from snowrail_delivery.compose import Host

ROOT_USERS = {"volumes"}
"""It gives the volumes to the users that the servers run as, and ends."""


def is_job(container: dict[str, Any]) -> bool:
    """Whether a container does its work and ends."""
    return container["restart"].startswith("on-failure")


def is_ours(container: dict[str, Any]) -> bool:
    """Whether a container's image is built here, where its user and its health check are set."""
    return "build" in container


def test_docker_compose_has_nothing_to_say(host: Host) -> None:
    assert host.warnings == ""


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_is_built_migrated_and_started_in_order(host: Host, service: Any) -> None:
    container = host.services[service.name]
    assert container["build"]["args"] == {"SERVICE": service.name}
    assert container["image"] == f"snowrail/{service.name}:development"
    waits_for = container["depends_on"]
    assert waits_for["nats"]["condition"] == "service_healthy"
    assert waits_for["topology"]["condition"] == "service_completed_successfully"
    migration = host.services.get(f"migrate-{service.name}")
    assert (migration is not None) == service.has_database
    assert ("data" in container["networks"]) == service.has_database
    if migration is not None:
        assert waits_for[f"migrate-{service.name}"]["condition"] == "service_completed_successfully"
        assert migration["image"] == container["image"]
        assert migration["command"] == ["snowrail", "migrate"]
        assert migration["depends_on"]["roles"]["condition"] == "service_completed_successfully"


def test_no_container_can_do_more_than_it_needs(host: Host) -> None:
    added = {
        name: container["cap_add"] for name, container in host.services.items() if "cap_add" in container
    }
    assert added == {"edge": ["NET_BIND_SERVICE"], "volumes": ["CHOWN"]}
    for name, container in host.services.items():
        assert container["read_only"] is True, name
        assert container["cap_drop"] == ["ALL"], name
        assert container["security_opt"] == ["no-new-privileges:true"], name
        assert not container.get("privileged"), name
        user = container.get("user", "10001:10001" if is_ours(container) else "0:0")
        assert (user == "0:0") == (name in ROOT_USERS), name


def test_every_container_has_bounds_and_a_version(host: Host) -> None:
    for name, container in host.services.items():
        assert int(container["mem_limit"]) > 0, name
        assert container["pids_limit"] > 0, name
        assert float(container["cpus"]) > 0, name
        assert container["restart"] in ("unless-stopped", "on-failure:5"), name
        assert int(container["logging"]["options"]["max-file"]) > 0, name
        assert ":" in container["image"], name
        assert not container["image"].endswith(":latest"), name
        assert all("size=" in mount for mount in container["tmpfs"]), name


def test_whoever_is_waited_for_can_say_that_it_is_ready(host: Host) -> None:
    for name, container in host.services.items():
        assert is_job(container) or "healthcheck" in container or is_ours(container), name
        for other, wait in container.get("depends_on", {}).items():
            job = is_job(host.services[other])
            assert wait["condition"] == ("service_completed_successfully" if job else "service_healthy"), (
                name,
                other,
            )


def test_the_outside_reaches_the_edge_alone(host: Host) -> None:
    published = {
        name: {port.get("host_ip") for port in container["ports"]}
        for name, container in host.services.items()
        if "ports" in container
    }
    assert published == {"edge": {None}, "devchain": {"127.0.0.1"}}
    internal = {name for name, network in host.networks.items() if network.get("internal")}
    assert internal == {"internal", "data"}
    on_data = {
        name for name, container in host.services.items() if "data" in (container.get("networks") or {})
    }
    with_database = {service.name for service in SERVICES if service.has_database}
    assert on_data == {"postgres", "roles"} | with_database | {f"migrate-{name}" for name in with_database}


def test_everything_that_is_mounted_is_there_and_nothing_is_written_to(host: Host) -> None:
    for name, container in host.services.items():
        for mount in container.get("volumes", []):
            if mount["type"] == "bind":
                assert mount["read_only"] is True, name
                assert Path(mount["source"]).exists(), (name, mount["source"])


def test_each_reads_its_own_secrets_and_nobody_elses(host: Host, installation: Path) -> None:
    for name, container in host.services.items():
        sources = {
            str(Path(mount["source"]).relative_to(installation))
            for mount in container.get("volumes", [])
            if mount["type"] == "bind" and installation in Path(mount["source"]).parents
        }
        if name in {service.name for service in SERVICES}:
            assert sources == {f"services/{name}", "public"}
        elif name.startswith("migrate-"):
            assert sources == {f"migrations/{name.removeprefix('migrate-')}"}
        else:
            expected = {
                "postgres": {"postgres"},
                "roles": {"postgres", "roles"},
                "nats": {"nats/identities.conf"},
                "topology": {"topology"},
            }
            assert sources == expected.get(name, set()), name


def test_no_secret_is_in_the_environment(host: Host) -> None:
    for name, container in host.services.items():
        for variable, value in (container.get("environment") or {}).items():
            secret = any(word in variable for word in ("PASSWORD", "SEED", "KEY", "TOKEN", "DATABASE_URL"))
            assert not secret or str(value).startswith("/"), (name, variable)
