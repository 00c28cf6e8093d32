"""Every service of the platform, and what a deployment must give each of them."""

from dataclasses import dataclass

HTTP_PORT = 8080
"""Every container listens here; a service is told apart by its name, not by its port."""


@dataclass(frozen=True)
class ServiceNeeds:
    """What one service needs to run.

    Attributes:
        name: folder below `services/`, host name in every network, suffix of its image.
        has_database: owns a database and a role of the same name with underscores.
        only_one: a second copy at the same time would be wrong, not merely wasteful.
    """

    name: str
    has_database: bool = True
    only_one: bool = False

    @property
    def package(self) -> str:
        """Importable package of the service."""
        return "snowrail_" + self.database

    @property
    def database(self) -> str:
        """Name of its database and of its role there."""
        return self.name.replace("-", "_")


SERVICES = (
    ServiceNeeds("gateway", has_database=False),
    ServiceNeeds("accounts"),
    ServiceNeeds("chat"),
    ServiceNeeds("intent"),
    ServiceNeeds("payment-orchestrator"),
    ServiceNeeds("fraud"),
    ServiceNeeds("routing"),
    ServiceNeeds("settlement", only_one=True),
    ServiceNeeds("chain-monitor"),
    ServiceNeeds("notification"),
    ServiceNeeds("rates"),
)
