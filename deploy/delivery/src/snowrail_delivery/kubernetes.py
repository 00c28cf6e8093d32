"""What an overlay of `k8s/` gives a cluster, as kustomize builds it, and what the cluster would say to it."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Manifest: TypeAlias = dict[str, Any]

BUILD_TIMEOUT_SECONDS = 60
WORKLOADS = ("Deployment", "StatefulSet", "Job")


@dataclass(frozen=True)
class Workload:
    """Something that runs pods: the manifest and the template of its pods."""

    manifest: Manifest

    @property
    def kind(self) -> str:
        """Deployment, StatefulSet or Job."""
        return self.manifest["kind"]

    @property
    def name(self) -> str:
        """Name in the namespace."""
        return self.manifest["metadata"]["name"]

    @property
    def labels(self) -> dict[str, str]:
        """Labels of its pods."""
        return self.manifest["spec"]["template"]["metadata"]["labels"]

    @property
    def pod(self) -> Manifest:
        """Specification of its pods."""
        return self.manifest["spec"]["template"]["spec"]

    @property
    def containers(self) -> list[Manifest]:
        """Every container of a pod, those that run first among them."""
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def port_names(self) -> dict[str, int]:
        """Ports of its containers by name."""
        return {
            port["name"]: port["containerPort"]
            for container in self.containers
            for port in container.get("ports", [])
        }


@dataclass(frozen=True)
class Cluster:
    """Everything that an overlay asks for."""

    manifests: list[Manifest]

    def of_kind(self, kind: str) -> list[Manifest]:
        """Every object of a kind."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def named(self, kind: str) -> dict[str, Manifest]:
        """Every object of a kind by name."""
        return {manifest["metadata"]["name"]: manifest for manifest in self.of_kind(kind)}

    def workloads(self) -> list[Workload]:
        """Everything that runs pods."""
        return [Workload(manifest) for kind in WORKLOADS for manifest in self.of_kind(kind)]

    def selected(self, labels: dict[str, str]) -> list[Workload]:
        """Workloads whose pods carry all these labels."""
        return [workload for workload in self.workloads() if labels.items() <= workload.labels.items()]


def render(kustomize: Path, overlay: Path) -> Cluster:
    """Build an overlay.

    Raises:
        subprocess.CalledProcessError: kustomize refuses it; its words are on standard error.
    """
    built = subprocess.run(
        [kustomize, "build", overlay], check=True, stdout=subprocess.PIPE, timeout=BUILD_TIMEOUT_SECONDS
    )
    return Cluster([manifest for manifest in yaml.safe_load_all(built.stdout) if manifest])


def schema_faults(manifest: Manifest, version: str) -> Iterator[str]:
    """What a cluster of this version would refuse about an object; an object without a schema is a fault.

    Args:
        manifest: the object.
        version: major and minor version, such as `1.34`.
    """
    group, _, api_version = manifest["apiVersion"].rpartition("/")
    name = "-".join(filter(None, (manifest["kind"].lower(), group.split(".")[0], api_version)))
    validator = _validator(version, name)
    if validator is None:
        yield f"no schema of {manifest['apiVersion']} {manifest['kind']} for {version}"
        return
    for error in validator.iter_errors(manifest):
        yield f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}"


@cache
def _validator(version: str, name: str) -> Draft202012Validator | None:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    return Draft202012Validator(json.loads(path.read_text()), registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    contents = json.loads((folder / "_definitions.json").read_text())
    return Registry[Any]().with_resource("_definitions.json", DRAFT202012.create_resource(contents))
