"""The same servers from a Docker engine on this machine, where one answers."""

import contextlib
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import docker
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from snowrail_local.servers import PostgresRole, ServerStartError, free_port

POSTGRES_IMAGE = "postgres:18"
NATS_IMAGE = "nats:2.12"
START_TIMEOUT_SECONDS = 60.0
ENGINE_TIMEOUT_SECONDS = 3
PULL_TIMEOUT_SECONDS = 120
STOP_TIMEOUT_SECONDS = 15
POLL_SECONDS = 0.05
CONFIGURATION_PATH = "/etc/snowrail-nats.conf"
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
STORE_PATH = "/data/jetstream"


class DockerServer:
    """A server in a container that keeps its name, port and data over restarts.

    The container's id is noted in a file, by which it is removed when the session ends.
    """

    container_ports: ClassVar[Mapping[str, int]]

    def __init__(self, image: str, containers_file: Path) -> None:
        # containers are removed by their noted ids, also after a kill: no reaper has to be fetched
        testcontainers_config.ryuk_disabled = True
        self._container = DockerContainer(image)
        self._containers_file = containers_file
        self._ports = {name: free_port() for name in self.container_ports}
        for name, inside in self.container_ports.items():
            self._container.with_bind_ports(inside, self._ports[name])
        self._created = False
        self.host = "127.0.0.1"
        self.port = self._ports["client"]

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            ServerStartError: it did not answer in time.
        """
        if self._created:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._created = True
            with self._containers_file.open("a") as file:
                file.write(f"{self._container.get_wrapped_container().id}\n")
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                logs = self._container.get_wrapped_container().logs(tail=40).decode(errors="replace")
                raise ServerStartError(
                    f"container did not answer within {START_TIMEOUT_SECONDS:.0f} s:\n{logs}"
                )
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End in order."""
        self._container.get_wrapped_container().stop(timeout=STOP_TIMEOUT_SECONDS)

    def kill(self) -> None:
        """End with SIGKILL."""
        container = self._container.get_wrapped_container()
        container.reload()
        if container.status in ("running", "paused"):
            container.kill("SIGKILL")
            container.wait(timeout=STOP_TIMEOUT_SECONDS)

    def restart(self) -> None:
        """Stop and start with the same data on the same port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze."""
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._container.get_wrapped_container().unpause()

    def _is_ready(self) -> bool:
        raise AssertionError("every kind of server says when it is ready")


class DockerPostgres(DockerServer):
    """PostgreSQL in a container; every login is trusted."""

    container_ports: ClassVar[Mapping[str, int]] = {"client": 5432}

    def __init__(self, settings: Mapping[str, str], containers_file: Path) -> None:
        super().__init__(POSTGRES_IMAGE, containers_file)
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._container.with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
        self._container.with_command(f"postgres -c max_connections=300 {options}")

    @property
    def url(self) -> str:
        """URL of the superuser."""
        return self.database_url("postgres")

    def database_url(self, database: str, role: PostgresRole | None = None) -> str:
        """URL of a database for a role, the superuser if none is given."""
        return f"postgresql://{role.name if role else 'postgres'}@{self.host}:{self.port}/{database}"

    def _is_ready(self) -> bool:
        # the image first runs a server without TCP to create the cluster: ask over TCP
        return self._container.exec(["pg_isready", "-q", "-h", "127.0.0.1"]).exit_code == 0


class DockerNats(DockerServer):
    """nats-server with JetStream in a container, synced always."""

    container_ports: ClassVar[Mapping[str, int]] = {"client": 4222, "monitor": 8222}

    def __init__(self, configuration: str, containers_file: Path) -> None:
        super().__init__(NATS_IMAGE, containers_file)
        self.configuration = configuration
        self._configuration_file = containers_file.with_name(f"nats-{self.port}.conf")
        self._container.with_volume_mapping(str(self._configuration_file), CONFIGURATION_PATH)
        self._container.with_command(f"-c {CONFIGURATION_PATH}")

    @property
    def url(self) -> str:
        """Client URL without credentials."""
        return f"nats://{self.host}:{self.port}"

    @property
    def monitor_url(self) -> str:
        """Base URL of the HTTP monitor."""
        return f"http://{self.host}:{self._ports['monitor']}"

    def start(self) -> None:
        """Write the configuration, start, and wait until it answers."""
        self._configuration_file.write_text(
            f'listen: "0.0.0.0:4222"\nhttp: "0.0.0.0:8222"\nserver_name: "snowrail"\n'
            f'jetstream {{\n  store_dir: "{STORE_PATH}"\n  sync_interval: always\n}}\n{self.configuration}\n'
        )
        super().start()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.monitor_url}/healthz", timeout=1) as answer:  # noqa: S310
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def engine_has_images() -> bool:
    """Tell whether a Docker engine answers that has the images of our servers, or can get them."""
    if not _engine_may_be_there():
        return False
    try:
        engine = docker.from_env(timeout=ENGINE_TIMEOUT_SECONDS)
        engine.ping()
        for image in (POSTGRES_IMAGE, NATS_IMAGE):
            try:
                engine.images.get(image)
            except ImageNotFound:
                docker.from_env(timeout=PULL_TIMEOUT_SECONDS).images.pull(image)
    except (DockerException, OSError):
        return False
    return True


def remove_containers(containers_file: Path) -> None:
    """Remove every container noted in the file, with its volumes, as far as the engine still knows them."""
    for identifier in containers_file.read_text().split():
        with contextlib.suppress(DockerException, OSError):
            docker.from_env(timeout=STOP_TIMEOUT_SECONDS).containers.get(identifier).remove(
                force=True, v=True
            )


def _engine_may_be_there() -> bool:
    """Look for the socket before the client is asked, which takes longer to say no."""
    address = os.environ.get("DOCKER_HOST", DEFAULT_SOCKET)
    if not address.startswith("unix://"):
        return False  # ports and files of an engine elsewhere are not ours
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ENGINE_TIMEOUT_SECONDS)
        try:
            probe.connect(address.removeprefix("unix://"))
        except OSError:
            return False
    return True
