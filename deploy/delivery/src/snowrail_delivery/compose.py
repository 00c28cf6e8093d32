"""What `docker-compose.yml` asks of a host, as docker compose reads it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READ_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Host:
    """Everything that the compose file asks for.

    Attributes:
        services: every container by name, every profile included.
        networks: by name.
        warnings: what docker compose had to say about the file.
    """

    services: dict[str, dict[str, Any]]
    networks: dict[str, dict[str, Any]]
    warnings: str


def read(docker_compose: Path, repository: Path, secrets: Path) -> Host:
    """Have docker compose read the file of this repository.

    Args:
        docker_compose: the executable.
        repository: where the file is.
        secrets: folder of the installation's secrets.

    Raises:
        subprocess.CalledProcessError: docker compose refuses it.
    """
    finished = subprocess.run(
        [docker_compose, "--profile", "*", "config", "--format", "json"],
        cwd=repository,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "SNOWRAIL_SECRETS": str(secrets)},
        check=True,
        capture_output=True,
        text=True,
        timeout=READ_TIMEOUT_SECONDS,
    )
    document = json.loads(finished.stdout)
    return Host(document["services"], document["networks"], finished.stderr)
