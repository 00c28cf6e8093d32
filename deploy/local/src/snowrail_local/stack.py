"""The whole platform on this machine: real servers, every service a process of its own."""

import asyncio
import contextlib
import fcntl
import http.client
import importlib.util
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from snowrail_delivery import secrets
from snowrail_local.dev_accounts import ACCOUNTS, EXECUTOR_INDEX, dev_account, people
from snowrail_local.fork_client import ForkServerClient
from snowrail_local.paths import CONTRACTS_EVM
from snowrail_local.servers import Anvil, NatsServer, Postgres, ServerProcess
from snowrail_local.servers.ports import port_is_free
from snowrail_local.servers.process import log_tail, record_process
from snowrail_local.service_table import LocalService
from snowrail_local.setup_steps import create_databases, deploy_contracts, service_environment
from snowrail_local.stack_settings import PORTS_VARIABLE, StackError, StackSettings
from snowrail_topology import apply

PRICES_JOB = "price-provider"
LAUNCHER_RECORD_NAME = "launcher.process.json"
MIGRATION_TIMEOUT_SECONDS = 120.0
PROBE_TIMEOUT_SECONDS = 2.0
POLL_SECONDS = 0.05
STARTS_BEFORE_GIVING_UP = 4
KEPT_CHAIN_STATES = 1_000
OWNER_URL_VARIABLE = "SNOWRAIL_MIGRATION_DATABASE_URL"


class Stack:
    """One stack. Methods block for a bounded time; use `asyncio.to_thread` beside an event loop.

    A service that dies is started again, as a cluster would; servers are not, unless `revive_servers` is
    called, so that a test decides for how long a database is gone.
    """

    def __init__(self, settings: StackSettings) -> None:
        """Describe a stack; `start` makes it."""
        self.settings = settings
        self.seconds: dict[str, float] = {}
        """How long each step of the last start took."""
        self._forks = ForkServerClient(settings.run_folder, settings.log_folder)
        self._lock: IO[str] | None = None
        self._postgres: Postgres | None = None
        self._nats: NatsServer | None = None
        self._anvil: Anvil | None = None

    @property
    def postgres(self) -> Postgres:
        """The database server."""
        assert self._postgres is not None, "the stack was not started"
        return self._postgres

    @property
    def nats(self) -> NatsServer:
        """The broker."""
        assert self._nats is not None, "the stack was not started"
        return self._nats

    @property
    def anvil(self) -> Anvil:
        """The development chain."""
        assert self._anvil is not None, "the stack was not started"
        return self._anvil

    @property
    def servers(self) -> list[ServerProcess]:
        """The servers, in the order in which they are started."""
        return [self.postgres, self.nats, self.anvil]

    @property
    def origin(self) -> str:
        """The public origin."""
        return self.settings.origin

    @property
    def price_provider_url(self) -> str:
        """Root of the price provider emulator; see `snowrail_testkit.emulators.prices` for its switches."""
        return f"http://127.0.0.1:{self.settings.ports.prices}"

    def url(self, name: str) -> str:
        """Return the root of a service's HTTP interface."""
        return self.settings.url_of(self.settings.service(name))

    def database_url(self, name: str) -> str:
        """Return the superuser's URL of a service's database, for whoever must see everything."""
        return self.postgres.database_url(self.settings.service(name).database)

    def log_file(self, name: str) -> Path:
        """Return a service's log."""
        return self._forks.log_file(name)

    def start(self) -> None:
        """Start everything and wait until every service is ready. Data of an earlier start is kept.

        Raises:
            StackError: something is missing, taken, or does not start; the message says what to do.
        """
        self._take_lock()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End services, then servers, in order and in bounded time."""
        if self._lock is None:
            return
        self._forks.shut_down()
        for server in (self._anvil, self._nats, self._postgres):
            if server is not None:
                server.stop()
        self.settings.description_file.unlink(missing_ok=True)
        (self.settings.state_folder / LAUNCHER_RECORD_NAME).unlink(missing_ok=True)
        self._lock.close()
        self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def end_leftovers(self) -> None:
        """End what a killed stack left running in this folder."""
        self._make_servers()
        self._forks.end_leftover()
        for server in self.servers:
            server.end_leftover()

    def pid(self, name: str) -> int:
        """Return the process id of a service, 0 while it has none."""
        return self._forks.state(name).pid

    def kill(self, name: str, *, stay_down: bool = False) -> None:
        """End a service with SIGKILL. It is started again at once, unless it is to stay down."""
        self.settings.service(name)
        if stay_down:
            self._forks.stop(name, signal.SIGKILL)
            return
        pid = self.pid(name)
        if pid:
            os.kill(pid, signal.SIGKILL)

    def stop_service(self, name: str) -> None:
        """End a service in order, for good."""
        self.settings.service(name)
        self._forks.stop(name, signal.SIGTERM)

    def start_service(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        """Start a service that is down, with further variables, and wait until it is ready."""
        self._run_service(self.settings.service(name), environment or {})
        self.wait_ready([name])

    def restart(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        """End a service in order and start it again, with further variables."""
        self.stop_service(name)
        self.start_service(name, environment)

    def wait_ready(self, names: Iterable[str] | None = None) -> None:
        """Wait until services answer that they are ready.

        Raises:
            StackError: one keeps ending, or is not ready in time; the message carries the end of its log.
        """
        waiting = [self.settings.service(name) for name in names] if names else list(self.settings.services)
        begun = {service.name: self._forks.state(service.name).starts for service in waiting}
        deadline = time.monotonic() + self.settings.ready_timeout_seconds
        while waiting:
            service = waiting[0]
            if self._forks.state(service.name).state == "running" and answers_ready(service.port):
                waiting.pop(0)
                continue
            failed_starts = self._forks.state(service.name).starts - begun[service.name]
            if failed_starts >= STARTS_BEFORE_GIVING_UP or time.monotonic() > deadline:
                raise StackError(
                    f"{service.name} does not become ready; {self.log_file(service.name)} ends with:\n"
                    f"{log_tail(self.log_file(service.name))}"
                )
            time.sleep(POLL_SECONDS)

    def revive_servers(self) -> list[str]:
        """Start again what was killed among servers and fork server; return the names of what was."""
        revived: list[str] = []
        for server in self.servers:
            if not server.running:
                server.start()
                revived.append(server.name)
        if self._forks.pid is None:
            self._forks.launch()
            self._forks.wait_until_ready()
            self._run_all()
            revived.append("fork server")
        return revived

    def _start(self) -> None:
        self._step("check", self._check)
        self._step("secrets", self._create_secrets)
        self._forks.launch()
        self._step("servers", self._start_servers)
        self._step("databases, streams, contracts", lambda: asyncio.run(self._set_up()))
        self._step("imports", self._forks.wait_until_ready)
        self._step("migrations", self._migrate)
        self._run_all()
        self._step("services", self.wait_ready)
        self._describe()

    def _step(self, name: str, run: Callable[[], object]) -> None:
        begun = time.monotonic()
        run()
        self.seconds[name] = time.monotonic() - begun

    def _take_lock(self) -> None:
        folder = self.settings.state_folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)  # PostgreSQL, under another user, passes through
        self._lock = (folder / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise StackError(f"a stack is running in {folder}; `make status` shows it") from None
        record_process(folder / LAUNCHER_RECORD_NAME, os.getpid())

    def _check(self) -> None:
        packages = [service.package for service in self.settings.services]
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if missing:
            raise StackError(f"not installed: {', '.join(missing)}")
        self.end_leftovers()
        ports = {service.name: service.port for service in self.settings.services}
        taken = [
            f"{port} ({name})"
            for name, port in {**self.settings.ports.named(), **ports}.items()
            if not port_is_free(port)
        ]
        if taken:
            raise StackError(
                f"somebody else listens on {', '.join(taken)}; end that, or set {PORTS_VARIABLE}=free"
            )

    def _make_servers(self) -> None:
        settings, ports = self.settings, self.settings.ports
        folder = settings.state_folder
        self._postgres = Postgres(
            folder / "postgres", port=ports.postgres, settings=settings.postgres_settings
        )
        self._nats = NatsServer(folder / "nats", port=ports.nats, monitor_port=ports.nats_monitor)
        self._anvil = Anvil(
            folder / "anvil",
            contracts_folder=CONTRACTS_EVM,
            port=ports.anvil,
            block_time_seconds=settings.block_time_seconds,
            keep_state=settings.keep_chain,
            kept_states=KEPT_CHAIN_STATES if settings.keep_chain else None,
            accounts=ACCOUNTS,
        )

    def _start_servers(self) -> None:
        kept = self.settings.secrets_folder
        self.postgres.superuser_password = (kept / "postgres" / "password").read_text()
        self.nats.configuration = (kept / "nats" / "identities.conf").read_text()
        with ThreadPoolExecutor(len(self.servers)) as pool:
            list(pool.map(ServerProcess.start, self.servers))

    def _create_secrets(self) -> None:
        database_address = f"127.0.0.1:{self.settings.ports.postgres}"
        secrets.create(
            self.settings.secrets_folder, database_address, dev_account(EXECUTOR_INDEX).private_key
        )

    async def _set_up(self) -> None:
        kept = self.settings.secrets_folder
        seed = (kept / "topology" / "snowrail_nats_seed").read_text().strip()
        await asyncio.gather(
            create_databases(self.postgres, kept, self._with_database()),
            apply(self.nats.url, seed),
            deploy_contracts(self.anvil, self.settings),
        )

    def _with_database(self) -> list[LocalService]:
        return [service for service in self.settings.services if service.has_database]

    def _migrate(self) -> None:
        names = {service.name: f"migrate-{service.name}" for service in self._with_database()}
        for service in self._with_database():
            kept = self.settings.secrets_folder / "migrations" / service.name
            url = (kept / OWNER_URL_VARIABLE.lower()).read_text()
            self._forks.run(
                names[service.name],
                "snowrail_local.jobs:migrate",
                [service.package, OWNER_URL_VARIABLE],
                {**os.environ, OWNER_URL_VARIABLE: url},
                keep_running=False,
            )
        for name in names.values():
            if self._forks.wait_finished(name, MIGRATION_TIMEOUT_SECONDS) != 0:
                raise StackError(f"{name} failed:\n{log_tail(self.log_file(name))}")

    def _run_all(self) -> None:
        self._forks.run(
            PRICES_JOB,
            "snowrail_local.jobs:serve_prices",
            ["127.0.0.1", str(self.settings.ports.prices)],
            dict(os.environ),
            keep_running=True,
        )
        for service in self.settings.services:
            self._run_service(service, {})

    def _run_service(self, service: LocalService, environment: Mapping[str, str]) -> None:
        self._forks.run(
            service.name,
            "snowrail_local.jobs:serve_service",
            [service.package],
            {**os.environ, **service_environment(self.settings, service), **environment},
            keep_running=True,
        )

    def _describe(self) -> None:
        """Write what other programs on this machine need to know; it holds secrets."""
        settings = self.settings
        description = {
            "origin": self.origin,
            "servers": {
                "postgres": f"127.0.0.1:{self.postgres.port}",
                "nats": self.nats.url,
                "anvil": self.anvil.url,
            },
            "services": {service.name: settings.url_of(service) for service in settings.services},
            "price_provider": self.price_provider_url,
            "nats_monitor": self.nats.monitor_url,
            "chains_file": str(settings.chains_file),
            "databases": {service.name: self.database_url(service.name) for service in self._with_database()},
            "people": [{"address": person.address, "private_key": person.private_key} for person in people()],
        }
        file = settings.description_file
        file.touch(mode=0o600)
        file.write_text(json.dumps(description, indent=1))


def answers_ready(port: int) -> bool:
    """Tell whether the service at this port says that it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        with contextlib.suppress(OSError):
            connection.close()
