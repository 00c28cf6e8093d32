"""Where the deployment files are, the programs that judge them, and a running edge."""

from pathlib import Path

import pytest

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
