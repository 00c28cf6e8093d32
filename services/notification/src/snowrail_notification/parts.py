"""What notification is composed of."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

import aiohttp

from snowrail_chain.config import ChainRegistry
from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.ids import Ids
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.channels.sending import Sender
from snowrail_notification.channels.telegram import BotApi
from snowrail_notification.channels.web_push import VapidKey
from snowrail_notification.domain.catalogue import Channel
from snowrail_notification.sealing import Sealing
from snowrail_notification.settings import Settings


@dataclass(frozen=True, slots=True)
class OutsideChannel:
    """A channel that is configured.

    Attributes:
        per_second: messages that the provider takes.
        contact_pause: at least so long between two messages to the same contact.
    """

    sender: Sender
    per_second: float
    contact_pause: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Parts:
    """Settings, chains and tokens, the database, and the channels that are configured.

    Attributes:
        sealing: None when no channel is configured.
        http: for providers; apart from the one that services call each other with.
    """

    settings: Settings
    registry: ChainRegistry
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    clock: Clock
    ids: Ids
    sealing: Sealing | None
    outside: Mapping[Channel, OutsideChannel]
    bot_api: BotApi | None
    vapid_key: VapidKey | None
    http: aiohttp.ClientSession
