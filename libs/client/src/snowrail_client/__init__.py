"""Client of Snowrail's public interfaces: HTTP, the live connection, and a local wallet."""

from snowrail_client.cards import Action, Card
from snowrail_client.client import Performed, SnowrailClient, User, new_http
from snowrail_client.connection import Connection
from snowrail_client.errors import (
    ApiError,
    ConnectionEnded,
    NotSignedIn,
    SnowrailError,
    TransactionFailed,
)
from snowrail_client.events import Event, Reply
from snowrail_client.rpc import Rpc
from snowrail_client.wallet import Wallet

__all__ = [
    "Action",
    "ApiError",
    "Card",
    "Connection",
    "ConnectionEnded",
    "Event",
    "NotSignedIn",
    "Performed",
    "Reply",
    "Rpc",
    "SnowrailClient",
    "SnowrailError",
    "TransactionFailed",
    "User",
    "Wallet",
    "new_http",
]
