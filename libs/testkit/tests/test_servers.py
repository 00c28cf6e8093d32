"""Real servers: started, killed, frozen, started again, and never left behind."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import nats
import psutil
import pytest
from nats.errors import Error as NatsError
from nats.js.api import StreamConfig

from snowrail_testkit import DevChain, eventually
from snowrail_testkit.servers import (
    JetStreamServer,
    PostgresServer,
    SharedPostgres,
    close_run_folder,
    open_run_folder,
    uses_docker,
)


async def test_a_committed_row_survives_sigkill(start_postgres: Callable[..., PostgresServer]) -> None:
    server = start_postgres(fsync="on", synchronous_commit="on")
    connection = await asyncpg.connect(server.url, ssl=False)
    await connection.execute("CREATE TABLE kept (id int)")
    await connection.execute("INSERT INTO kept VALUES (1)")
    server.kill()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    server.start()
    connection = await asyncpg.connect(server.url, ssl=False)
    assert await connection.fetchval("SELECT count(*) FROM kept") == 1
    await connection.close()


async def test_an_acknowledged_message_survives_sigkill(start_nats: Callable[..., JetStreamServer]) -> None:
    server = start_nats()
    client = await nats.connect(server.url)
    stream = client.jetstream()
    await stream.add_stream(StreamConfig(name="facts", subjects=["fact"]))
    await stream.publish("fact", b"one")
    await client.close()
    server.kill()
    server.start()
    client = await nats.connect(server.url)
    assert (await client.jetstream().stream_info("facts")).state.messages == 1
    await client.close()


async def test_the_broker_takes_authorisation_from_its_configuration(
    start_nats: Callable[..., JetStreamServer],
) -> None:
    server = start_nats('authorization { user: "someone", password: "secret" }')
    with pytest.raises(NatsError):
        await nats.connect(server.url, allow_reconnect=False, connect_timeout=20)
    client = await nats.connect(server.url, user="someone", password="secret")
    await client.close()


def test_the_broker_syncs_always(nats_server: JetStreamServer) -> None:
    answer = httpx.get(f"{nats_server.monitor_url}/varz", timeout=30).json()
    assert answer["jetstream"]["config"]["sync_always"] is True


def test_a_chain_can_be_mined_and_put_back(chain: DevChain) -> None:
    start = chain.block_number()
    before = chain.snapshot()
    assert chain.mine(5) == start + 5
    chain.revert(before)
    assert chain.block_number() == start
    with pytest.raises(ValueError, match="no snapshot"):
        chain.revert(before)


def test_a_reorganisation_replaces_blocks(chain: DevChain) -> None:
    number = chain.mine(5)
    kept, replaced = chain.block_hash(number - 3), chain.block_hash(number)
    chain.reorg(2)
    assert chain.block_number() == number
    assert chain.block_hash(number - 3) == kept
    assert chain.block_hash(number) != replaced


def test_a_rollback_shortens_the_chain(chain: DevChain) -> None:
    number = chain.mine(5)
    chain.rollback(3)
    assert chain.block_number() == number - 3


async def test_the_session_shares_one_postgres(postgres_server: SharedPostgres) -> None:
    connection = await asyncpg.connect(postgres_server.url, ssl=False)
    assert int(await connection.fetchval("SHOW server_version_num")) >= 180000
    await connection.close()


def test_a_killed_session_leaves_nothing(tmp_path: Path) -> None:
    """A session that dies by SIGKILL cannot clean up: the next session does."""
    script = (
        "import os, signal, sys\n"
        "from snowrail_testkit.servers import TestServers, open_run_folder\n"
        "folder = open_run_folder()\n"
        "server = TestServers(folder, docker=False).nats()\n"
        "server.start()\n"
        "print(folder, server.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    folder, pid = result.stdout.split()
    assert psutil.pid_exists(int(pid)), "the server outlives its parent"

    swept = subprocess.run(
        [
            sys.executable,
            "-c",
            "from snowrail_testkit.servers import *; close_run_folder(open_run_folder())",
        ],
        env=environment,
        timeout=60,
        check=False,
    )
    assert swept.returncode == 0
    assert not Path(folder).exists()
    assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE


def test_a_session_folder_goes_when_it_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = open_run_folder()
    close_run_folder(folder)
    assert not folder.exists()


def test_where_servers_come_from_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNOWRAIL_TEST_SERVERS", "packages")
    assert uses_docker() is False
    monkeypatch.setenv("SNOWRAIL_TEST_SERVERS", "podman")
    with pytest.raises(ValueError, match="auto, docker or packages"):
        uses_docker()


async def test_what_a_chain_leaves_in_its_pool_is_mined(chain: DevChain) -> None:
    chain.set_automine(False)
    try:
        payer, recipient, *_ = chain.call("eth_accounts")
        sent = chain.call("eth_sendTransaction", {"from": payer, "to": recipient, "value": "0x1"})
        async with chain.anvil.mining_what_is_left(look_every_seconds=0.02):
            await eventually(lambda: asyncio.to_thread(chain.call, "eth_getTransactionReceipt", sent))
    finally:
        chain.set_automine(True)
