"""Every service accepts the settings that a deployment gives it, and a deployment gives all that it needs."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from snowrail_delivery.catalogue import HTTP_PORT, SERVICES, ServiceNeeds
from snowrail_delivery.compose import Host
from snowrail_delivery.kubernetes import Cluster, Workload
from snowrail_kit.settings import ServiceSettings

PREFIX = "SNOWRAIL_"
SET_BY_THE_IMAGE = {"SNOWRAIL_SERVICE", "SNOWRAIL_HTTP_HOST", "SNOWRAIL_HTTP_PORT"}
LOOPBACK = ("127.0.0.1", "localhost")
REACHED_OTHERWISE = {"nats", "price-provider"}
"""Not by HTTP from service to service, or outside."""


@dataclass(frozen=True)
class Given:
    """What a deployment gives one service.

    Attributes:
        environment: variables of its container.
        files: absolute paths that it finds.
        reaches: whether a host and port of a URL can be reached from it.
    """

    environment: dict[str, str]
    files: set[str]
    reaches: Callable[[str, int], bool]


def by_compose(host: Host, service: ServiceNeeds) -> Given:
    """What the compose file gives a service."""
    container = host.services[service.name]
    files: set[str] = set()
    for mount in container["volumes"]:
        source = Path(mount["source"])
        if source.is_dir():
            files |= {f"{mount['target']}/{path.name}" for path in source.iterdir()}
        else:
            files.add(mount["target"])

    def reaches(name: str, port: int) -> bool:
        other = host.services.get(name, {"networks": {}})
        return bool(other["networks"].keys() & container["networks"].keys()) and port in (
            HTTP_PORT,
            4222,
            8222,
        )

    environment = {name: value for name, value in container["environment"].items() if value is not None}
    return Given(environment, files, reaches)


def by_kubernetes(cluster: Cluster, service: ServiceNeeds) -> Given:
    """What the development overlay gives a service."""
    workload = Workload(cluster.named("Deployment")[service.name])
    (container,) = workload.containers
    environment: dict[str, str] = {}
    for source in container["envFrom"]:
        environment |= cluster.named("ConfigMap")[source["configMapRef"]["name"]]["data"]
    files: set[str] = set()
    volumes = {volume["name"]: volume for volume in workload.pod["volumes"]}
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "configMap" in volume:
            content = cluster.named("ConfigMap")[volume["configMap"]["name"]]["data"]
        elif "secret" in volume:
            content = cluster.named("Secret")[volume["secret"]["secretName"]]["data"]
        else:
            continue
        files |= {f"{mount['mountPath']}/{key}" for key in content}

    def reaches(name: str, port: int) -> bool:
        found = cluster.named("Service").get(name)
        if found is None or port not in [entry["port"] for entry in found["spec"]["ports"]]:
            return False
        return name in REACHED_OTHERWISE or service.name in callers(cluster, name)

    return Given(environment, files, reaches)


def callers(cluster: Cluster, name: str) -> list[str]:
    """Whom a service's network policy lets in by name."""
    rule = cluster.named("NetworkPolicy")[name]["spec"]["ingress"][0]
    return rule["from"][0]["podSelector"]["matchExpressions"][0]["values"]


@pytest.fixture(params=["compose", "kubernetes"])
def given(request: pytest.FixtureRequest) -> Callable[[ServiceNeeds], Given]:
    """What each way to deploy gives a service."""
    if request.param == "compose":
        host: Host = request.getfixturevalue("host")
        return lambda service: by_compose(host, service)
    cluster: Cluster = request.getfixturevalue("cluster")
    return lambda service: by_kubernetes(cluster, service)


def settings_of(service: ServiceNeeds) -> type[ServiceSettings]:
    """The settings class of a service."""
    return importlib.import_module(f"{service.package}.settings").Settings


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_starts_with_what_it_is_given(
    given: Callable[[ServiceNeeds], Given],
    service: ServiceNeeds,
    installation: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    have = given(service)
    known = {PREFIX + name.upper() for name in settings_of(service).model_fields}
    assert {name for name in have.environment if name.startswith(PREFIX)} - SET_BY_THE_IMAGE <= known
    own = installation / "services" / service.name
    assert {path.name.upper() for path in own.iterdir() if path.name.startswith("snowrail_")} <= known
    for name, value in have.environment.items():
        monkeypatch.setenv(name, value)
    arguments: dict[str, Any] = {"_secrets_dir": own}
    settings = settings_of(service)(**arguments)
    assert settings.nats_seed is not None
    assert (settings.database_url is not None) == service.has_database
    for name in settings_of(service).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Path):
            assert str(value) in have.files, name
        for url in urls_of(value):
            assert url.hostname not in LOOPBACK or name == "public_origin", f"{name} is not set"
            if name not in ("public_origin", "database_url"):
                assert have.reaches(url.hostname or "", url.port or 0), (
                    f"{service.name} cannot reach {url.geturl()}"
                )


def urls_of(value: Any) -> list[Any]:
    """Every URL in a setting's value."""
    texts = value.values() if isinstance(value, dict) else [value]
    parsed = [urlsplit(str(text)) for text in texts if "://" in str(text)]
    return [url for url in parsed if url.scheme in ("http", "https", "nats", "ws")]


def test_nobody_may_call_a_service_without_knowing_where_it_is(cluster: Cluster) -> None:
    for service in SERVICES:
        for caller in callers(cluster, service.name):
            if caller != "edge":
                needs = next(other for other in SERVICES if other.name == caller)
                assert f"http://{service.name}:{HTTP_PORT}" in str(
                    by_kubernetes(cluster, needs).environment
                ), (
                    caller,
                    service.name,
                )
