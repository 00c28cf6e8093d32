"""Servers for tests: from packages or from a Docker engine, behind one interface, ended whatever happens."""

import fcntl
import json
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from snowrail_local.paths import CONTRACTS_EVM
from snowrail_local.servers import Anvil, NatsServer, Postgres, PostgresRole, end_recorded_process
from snowrail_local.servers.process import find_recorded_process, record_process
from snowrail_local.servers.unprivileged import forget_folder

CHOICE_VARIABLE = "SNOWRAIL_TEST_SERVERS"
TEST_POSTGRES_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "64MB",
}
OWNER_RECORD_NAME = "session.json"


class Server(Protocol):
    """What every server of a test can do, wherever it comes from."""

    port: int

    @property
    def url(self) -> str:
        """Where clients connect to."""
        ...

    def start(self) -> None:
        """Start and wait until it answers."""
        ...

    def stop(self) -> None:
        """End in order."""
        ...

    def kill(self) -> None:
        """End with SIGKILL."""
        ...

    def restart(self) -> None:
        """Stop if running, start on the same port with the same data."""
        ...

    def pause(self) -> None:
        """Freeze."""
        ...

    def resume(self) -> None:
        """Go on after `pause`."""
        ...


class PostgresServer(Server, Protocol):
    """PostgreSQL."""

    def database_url(self, database: str, role: PostgresRole | None = None) -> str:
        """URL of a database for a role, the superuser if none is given."""
        ...


class JetStreamServer(Server, Protocol):
    """nats-server with JetStream."""

    configuration: str

    @property
    def monitor_url(self) -> str:
        """Base URL of the HTTP monitor."""
        ...


@dataclass(frozen=True)
class SharedPostgres:
    """A PostgreSQL that several workers use and none of them controls."""

    url: str

    def database_url(self, database: str, role: PostgresRole | None = None) -> str:
        """URL of a database for a role, the superuser if none is given."""
        login, _, _ = self.url.removeprefix("postgresql://").rpartition("@")
        address = self.url.rpartition("@")[2].partition("/")[0]
        return f"postgresql://{role.name if role else login}@{address}/{database}"


class TestServers:
    """Starts servers inside a run folder and ends every one of them with the session.

    The folder belongs to the process that controls the session; xdist workers share it. What a killed
    session left is ended by the next one.
    """

    __test__ = False

    def __init__(self, run_folder: Path, docker: bool) -> None:
        self._run_folder = run_folder
        self._docker = docker

    def postgres(self, **settings: str) -> PostgresServer:
        """Return a PostgreSQL that is not started yet: no fsync, every local login trusted."""
        merged = {**TEST_POSTGRES_SETTINGS, **settings}
        if self._docker:
            from snowrail_testkit.docker import DockerPostgres

            return DockerPostgres(merged, self._containers_file)
        return Postgres(self._new_folder("postgres"), settings=merged)

    def nats(self, configuration: str = "") -> JetStreamServer:
        """Return a nats-server that is not started yet: JetStream, synced always."""
        if self._docker:
            from snowrail_testkit.docker import DockerNats

            return DockerNats(configuration, self._containers_file)
        return NatsServer(self._new_folder("nats"), configuration=configuration)

    def anvil(self, **options: Any) -> Anvil:
        """Return a development chain that is not started yet: mines each transaction at once.

        It always comes from npm, which the contracts need anyway.
        """
        return Anvil(self._new_folder("anvil"), contracts_folder=CONTRACTS_EVM, **options)

    def shared_postgres(self) -> SharedPostgres:
        """Return the PostgreSQL of the whole session, started by whoever asks first."""
        return SharedPostgres(self._shared("postgres", lambda: self.postgres()))

    def _shared(self, name: str, make: Callable[[], Server]) -> str:
        record = self._run_folder / f"shared-{name}.json"
        with locked(self._run_folder / f"shared-{name}.lock"):
            if not record.exists():
                server = make()
                server.start()
                record.write_text(json.dumps({"url": server.url}))
            return str(json.loads(record.read_text())["url"])

    @property
    def _containers_file(self) -> Path:
        return self._run_folder / "containers"

    def _new_folder(self, name: str) -> Path:
        return self._run_folder / f"{name}-{uuid.uuid4().hex[:12]}"


def open_run_folder() -> Path:
    """Make the folder of this session, and end what sessions that were killed have left behind."""
    parent = Path(tempfile.gettempdir()) / f"snowrail-tests-{os.getuid()}"
    parent.mkdir(mode=0o711, exist_ok=True)
    for left in parent.iterdir():
        record = left / OWNER_RECORD_NAME
        if record.exists() and find_recorded_process(record) is None:
            close_run_folder(left)
    run_folder = parent / uuid.uuid4().hex[:12]
    run_folder.mkdir(mode=0o711)
    run_folder.chmod(0o711)
    record_process(run_folder / OWNER_RECORD_NAME, os.getpid())
    return run_folder


def close_run_folder(run_folder: Path) -> None:
    """End every server whose record lies in the folder, and remove it."""
    (run_folder / OWNER_RECORD_NAME).unlink(missing_ok=True)
    for record in run_folder.glob("*/*.process.json"):
        # tests throw their data away: there is nothing to shut down in order
        end_recorded_process(record, signal.SIGKILL)
    if (run_folder / "containers").exists():
        from snowrail_testkit.docker import remove_containers

        remove_containers(run_folder / "containers")
    for folder in run_folder.iterdir():
        if folder.is_dir():
            forget_folder(folder)
    shutil.rmtree(run_folder, ignore_errors=True)


def uses_docker() -> bool:
    """Decide where servers come from: `SNOWRAIL_TEST_SERVERS` = auto (default), docker or packages.

    Raises:
        ValueError: the variable has another value.
    """
    choice = os.environ.get(CHOICE_VARIABLE, "auto")
    if choice not in ("auto", "docker", "packages"):
        raise ValueError(f"{CHOICE_VARIABLE} is {choice!r}; it can be auto, docker or packages")
    if choice != "auto":
        return choice == "docker"
    from snowrail_testkit.docker import engine_has_images

    return engine_has_images()


@contextmanager
def locked(file: Path) -> Generator[None]:
    """Hold a lock between processes for the time of the block."""
    with file.open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
