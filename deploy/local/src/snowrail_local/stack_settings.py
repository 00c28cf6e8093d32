"""Where a stack keeps its files, and what it listens on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from snowrail_local.paths import CHECKOUT
from snowrail_local.service_table import SERVICES, LocalService, ServerPorts, on_free_ports

STATE_VARIABLE = "SNOWRAIL_STATE_DIR"
PORTS_VARIABLE = "SNOWRAIL_PORTS"


class StackError(RuntimeError):
    """The stack cannot start; the message says what to do about it."""


@dataclass(frozen=True)
class StackSettings:
    """Settings of one stack.

    Attributes:
        state_folder: everything it keeps, from databases to logs.
        services: what to run.
        ports: of servers and the price provider.
        environment: further variables of every service, such as log level or limits for a test.
        postgres_settings: server settings over the defaults.
        block_time_seconds: of the development chain.
        confirmations: blocks after which a transaction is final.
        keep_chain: whether the development chain survives a restart. Without it, its past states are pruned
            and nothing is written to disk, which is what measurements want.
        ready_timeout_seconds: how long services may take until they are ready.
    """

    state_folder: Path
    services: tuple[LocalService, ...] = SERVICES
    ports: ServerPorts = field(default_factory=ServerPorts)
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    postgres_settings: Mapping[str, str] = field(default_factory=dict[str, str])
    block_time_seconds: float = 1.0
    confirmations: int = 2
    keep_chain: bool = True
    ready_timeout_seconds: float = 60.0

    @classmethod
    def from_environment(cls) -> "StackSettings":
        """Return the settings of `make up`.

        `SNOWRAIL_STATE_DIR` moves the files, `SNOWRAIL_PORTS=free` takes ports that nobody uses.

        Raises:
            StackError: a variable has a value that means nothing.
        """
        state_folder = Path(os.environ.get(STATE_VARIABLE) or CHECKOUT / ".local" / "stack")
        choice = os.environ.get(PORTS_VARIABLE, "usual")
        if choice == "free":
            return cls.on_free_ports(state_folder)
        if choice != "usual":
            raise StackError(f"{PORTS_VARIABLE} is {choice!r}; it can be usual or free")
        return cls(state_folder)

    @classmethod
    def on_free_ports(
        cls, state_folder: Path, services: tuple[LocalService, ...] = SERVICES
    ) -> "StackSettings":
        """Return settings that get in nobody's way, for tests."""
        return cls(state_folder, services=on_free_ports(services), ports=ServerPorts.free())

    @property
    def origin(self) -> str:
        """The one public origin: the gateway's, or the first service's where there is no gateway."""
        return self.url_of(self.service("gateway") if self.has("gateway") else self.services[0])

    def has(self, name: str) -> bool:
        """Tell whether a service is part of the stack."""
        return any(service.name == name for service in self.services)

    def service(self, name: str) -> LocalService:
        """Return a service by name.

        Raises:
            StackError: there is none of this name.
        """
        for service in self.services:
            if service.name == name:
                return service
        raise StackError(f"no service {name!r}; there are {', '.join(each.name for each in self.services)}")

    def url_of(self, service: LocalService) -> str:
        """Return the root of a service's HTTP interface."""
        return f"http://127.0.0.1:{service.port}"

    @property
    def secrets_folder(self) -> Path:
        """Passwords, seeds and keys, as `snowrail_delivery.secrets` lays them out."""
        return self.state_folder / "secrets"

    @property
    def chains_file(self) -> Path:
        """Chains, tokens and contract addresses."""
        return self.state_folder / "chains.json"

    @property
    def log_folder(self) -> Path:
        """Logs of services."""
        return self.state_folder / "logs"

    @property
    def run_folder(self) -> Path:
        """States of processes."""
        return self.state_folder / "run"

    @property
    def description_file(self) -> Path:
        """What a running stack says about itself; see `stack_description`."""
        return self.state_folder / "stack.json"
