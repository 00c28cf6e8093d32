"""A broker that would lose what it acknowledged is refused."""

from pathlib import Path

import pytest

from snowrail_kit.bus import BrokerNotDurable, require_sync_always
from snowrail_local.servers import NatsServer


async def test_a_broker_that_does_not_sync_always_is_refused(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "careless", sync_always=False)
    with server, pytest.raises(BrokerNotDurable, match="sync_interval"):
        await require_sync_always(server.monitor_url)


async def test_a_broker_that_syncs_always_is_taken(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "careful") as server:
        await require_sync_always(server.monitor_url)
