"""Launchers keep data, ports and order over kills, and never touch a process that is not theirs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from snowrail_local.paths import CONTRACTS_EVM
from snowrail_local.servers import (
    Anvil,
    NatsServer,
    Postgres,
    ServerStartError,
    end_recorded_process,
    free_port,
)
from snowrail_local.servers.process import find_recorded_process, record_process
from snowrail_testkit.servers import close_run_folder, open_run_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    run_folder = open_run_folder()
    yield run_folder / "server"
    close_run_folder(run_folder)


async def test_passwords_are_asked_for(folder: Path) -> None:
    with Postgres(folder, superuser_password="s3cret/:@", settings={"fsync": "off"}) as server:
        connection = await asyncpg.connect(server.url, ssl=False)
        assert await connection.fetchval("SHOW fsync") == "off"
        await connection.close()
        for wrong in (server.url.replace("s3cret", "guess"), server.url.replace("s3cret%2F%3A%40", "")):
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                await asyncpg.connect(wrong, ssl=False)


def test_postgres_is_not_run_by_root(folder: Path) -> None:
    with Postgres(folder, superuser_password="s3cret", settings={"fsync": "off"}) as server:
        assert not (server.data_folder.parent / "initial-password").exists()
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().real != 0


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    server = NatsServer(folder, port=free_port(), monitor_port=free_port(), configuration="nonsense: }")
    with pytest.raises(ServerStartError, match="nats-server:"):
        server.start()
    assert not server.running
    assert not server.record_file.exists()


def test_a_port_is_given_to_nobody_else_before_its_server_listens() -> None:
    script = "from snowrail_local.servers import free_port\nfor _ in range(200): print(free_port())"
    other = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    ports = [*map(int, other.stdout.split()), *(free_port() for _ in range(200))]
    assert len(set(ports)) == len(ports) == 400


def test_a_fixed_port_that_is_taken_is_an_error(folder: Path) -> None:
    with (
        NatsServer(folder / "first") as first,
        pytest.raises(ServerStartError, match="address already in use"),
    ):
        NatsServer(folder / "second", port=first.port).start()


def test_port_and_data_survive_kill_and_restart(folder: Path) -> None:
    server = NatsServer(folder)
    server.start()
    url = server.url
    server.kill()
    assert not server.running
    server.start()
    assert server.url == url
    server.restart()
    assert server.url == url
    server.stop()


def test_the_next_start_ends_what_a_killed_parent_left(folder: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from snowrail_local.servers import Postgres\n"
        "server = Postgres(Path(sys.argv[1]), settings={'fsync': 'off'}); server.start()\n"
        "print(server.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, timeout=60, check=False
    )
    left = int(killed.stdout)
    assert psutil.pid_exists(left)
    with Postgres(folder, settings={"fsync": "off"}) as server:
        assert server.pid != left
        assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def test_a_stale_lock_does_not_keep_postgres_from_starting(folder: Path) -> None:
    server = Postgres(folder, settings={"fsync": "off"})
    server.start()
    lock = server.data_folder / "postmaster.pid"
    text = lock.read_text()
    server.stop()
    lines = text.split("\n")
    lines[0] = str(os.getpid())
    lock.write_text("\n".join(lines))
    server.start()
    server.stop()


def test_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record_process(record, os.getpid())
    assert find_recorded_process(record) is not None
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "started_at": content["started_at"] - 100}))
    assert find_recorded_process(record) is None
    assert end_recorded_process(record) is False


def test_a_chain_survives_stop_and_kill(folder: Path) -> None:
    chain = Anvil(folder, contracts_folder=CONTRACTS_EVM, keep_state=True, chain_id=4242)
    chain.start()
    assert int(chain.call("eth_chainId"), 16) == 4242
    chain.call("anvil_mine", "0x7")
    chain.stop()
    chain.start()
    assert int(chain.call("eth_blockNumber"), 16) == 7
    chain.kill()
    chain.start()
    assert int(chain.call("eth_blockNumber"), 16) == 7
    chain.kill()
    chain.state_file.write_bytes(chain.state_file.read_bytes()[:-100])
    chain.start()
    assert int(chain.call("eth_blockNumber"), 16) == 7, "a write cut in two falls back to the copy before it"
    chain.kill()
