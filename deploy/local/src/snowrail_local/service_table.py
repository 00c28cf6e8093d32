"""Where each service of the catalogue listens on this machine, and what else the stack needs ports for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from snowrail_delivery import catalogue
from snowrail_local.servers import free_port

USUAL_PORTS = {
    "gateway": 8080,
    "accounts": 8101,
    "chat": 8102,
    "intent": 8103,
    "payment-orchestrator": 8104,
    "fraud": 8105,
    "routing": 8106,
    "settlement": 8107,
    "chain-monitor": 8108,
    "notification": 8109,
    "rates": 8110,
}
"""HTTP ports by service; the gateway's is the public origin."""


@dataclass(frozen=True)
class LocalService:
    """One service of the stack.

    Attributes:
        name: hyphenated, as in the catalogue; also its NATS identity.
        port: of its HTTP interface.
        package: Python package.
        has_database: whether it keeps state.
    """

    name: str
    port: int
    package: str
    has_database: bool = True

    @property
    def database(self) -> str:
        """Name of its database, and of the role that uses it."""
        return self.name.replace("-", "_")


SERVICES: tuple[LocalService, ...] = tuple(
    LocalService(service.name, USUAL_PORTS[service.name], service.package, service.has_database)
    for service in catalogue.SERVICES
)
"""Every service of the catalogue, on its usual port."""


@dataclass(frozen=True)
class ServerPorts:
    """Ports of everything that is not a service."""

    postgres: int = 54320
    nats: int = 42220
    nats_monitor: int = 48220
    anvil: int = 48545
    prices: int = 8190

    @classmethod
    def free(cls) -> "ServerPorts":
        """Return ports that nobody uses now."""
        return cls(*(free_port() for _ in range(5)))

    def named(self) -> dict[str, int]:
        """Return each port by what listens on it."""
        return {
            "PostgreSQL": self.postgres,
            "NATS": self.nats,
            "NATS monitor": self.nats_monitor,
            "development chain": self.anvil,
            "price provider": self.prices,
        }


def on_free_ports(services: Sequence[LocalService]) -> tuple[LocalService, ...]:
    """Return the services on ports that nobody uses now."""
    return tuple(replace(service, port=free_port()) for service in services)
