"""Where the deployment files are, the programs that judge them, and what those make of them."""

import shutil
from pathlib import Path

import pytest

from snowrail_delivery.compose import Host, read
from snowrail_delivery.devchain import EXECUTOR_KEY
from snowrail_delivery.kubernetes import Cluster, render
from snowrail_delivery.secrets import create
from snowrail_delivery.validators import obtain

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def docker_compose() -> Path:
    """The pinned docker compose."""
    return obtain("docker-compose", ROOT / ".local" / "tools")


@pytest.fixture(scope="session")
def kustomize() -> Path:
    """The pinned kustomize."""
    return obtain("kustomize", ROOT / ".local" / "tools")


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets of a development installation."""
    folder = tmp_path_factory.mktemp("installation") / "secrets"
    create(folder, "postgres:5432", EXECUTOR_KEY)
    return folder


@pytest.fixture(scope="session")
def cluster(kustomize: Path, installation: Path, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Everything that the development overlay asks a cluster for, with secrets of its own."""
    root = tmp_path_factory.mktemp("kubernetes")
    shutil.copytree(ROOT / "k8s", root / "k8s", ignore=shutil.ignore_patterns("secrets"))
    for part in ("devchain", "edge", "nats", "postgres"):
        shutil.copytree(ROOT / "deploy" / part, root / "deploy" / part)
    shutil.copytree(installation, root / "k8s/overlays/dev/secrets")
    return render(kustomize, root / "k8s/overlays/dev")


@pytest.fixture(scope="session")
def host(docker_compose: Path, installation: Path) -> Host:
    """Everything that the compose file asks a host for."""
    return read(docker_compose, ROOT, installation)
