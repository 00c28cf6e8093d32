"""Real servers, started from packages: PostgreSQL, NATS with JetStream, and a development chain."""

from snowrail_local.servers.anvil import DEV_MNEMONIC, Anvil
from snowrail_local.servers.nats import NatsServer
from snowrail_local.servers.node import anvil_binary, ensure_node_modules, node_command, npm_command
from snowrail_local.servers.ports import free_port
from snowrail_local.servers.postgres import Postgres, PostgresRole
from snowrail_local.servers.process import ServerProcess, ServerStartError, end_recorded_process

__all__ = [
    "DEV_MNEMONIC",
    "Anvil",
    "NatsServer",
    "Postgres",
    "PostgresRole",
    "ServerProcess",
    "ServerStartError",
    "anvil_binary",
    "end_recorded_process",
    "ensure_node_modules",
    "free_port",
    "node_command",
    "npm_command",
]
