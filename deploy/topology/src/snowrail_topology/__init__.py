"""NATS topology: streams, durable consumers and identities, declared once and applied by one job."""

from snowrail_topology.apply import apply
from snowrail_topology.server_config import server_config
from snowrail_topology.table import CONSUMES, EVENTS_STREAM, FEED_STREAM, TOPOLOGY_IDENTITY, rights_of

__all__ = [
    "CONSUMES",
    "EVENTS_STREAM",
    "FEED_STREAM",
    "TOPOLOGY_IDENTITY",
    "apply",
    "rights_of",
    "server_config",
]
