"""The stack, with two sample services over real servers: start, kill, restart, stop, start again, forget."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest

from snowrail_chain.config import ChainRegistry
from snowrail_local.cli import describe, reset
from snowrail_local.servers.process import find_recorded_process
from snowrail_local.service_table import LocalService
from snowrail_local.stack import Stack
from snowrail_local.stack_settings import StackError, StackSettings
from snowrail_local.status import format_status, read_status
from snowrail_testkit.servers import close_run_folder, open_run_folder

SAMPLES = Path(__file__).parent / "sample_services"
SERVICES = (
    LocalService("gateway", 0, "sample_gateway", has_database=False),
    LocalService("fraud", 0, "sample_fraud"),
)
SOON_SECONDS = 30.0


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    run_folder = open_run_folder()
    yield run_folder / "state"
    close_run_folder(run_folder)


@pytest.fixture(scope="module", autouse=True)
def samples_can_be_imported() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SAMPLES)
        patch.setenv("PYTHONPATH", str(SAMPLES))
        yield


def settings_in(folder: Path, services: tuple[LocalService, ...] = SERVICES) -> StackSettings:
    return StackSettings.on_free_ports(folder, services)


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with Stack(settings_in(folder)) as running:
        yield running


def greeting(stack: Stack) -> dict[str, Any]:
    return httpx.get(f"{stack.url('fraud')}/greeting", timeout=30).raise_for_status().json()


def wait_for(what: Callable[[], bool], timeout_seconds: float = SOON_SECONDS) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_services_run_in_processes_of_their_own(stack: Stack) -> None:
    pids = {name: stack.pid(name) for name in ("gateway", "fraud")}
    assert greeting(stack)["pid"] == pids["fraud"]
    assert len({*pids.values(), os.getpid()}) == 3
    assert psutil.Process(pids["fraud"]).name() == "fraud"
    assert psutil.Process(pids["fraud"]).parent() == psutil.Process(pids["gateway"]).parent()


def test_a_killed_service_is_started_again(stack: Stack) -> None:
    before = stack.pid("fraud")
    stack.kill("fraud")
    wait_for(lambda: stack.pid("fraud") not in (0, before))
    stack.wait_ready(["fraud"])
    assert greeting(stack)["pid"] != before


def test_a_service_can_stay_down_and_come_back_with_other_settings(stack: Stack) -> None:
    stack.kill("fraud", stay_down=True)
    assert stack.pid("fraud") == 0
    time.sleep(0.5)
    assert stack.pid("fraud") == 0
    stack.start_service("fraud", {"SNOWRAIL_GREETING": "back"})
    assert greeting(stack)["greeting"] == "back"
    stack.restart("fraud")
    assert greeting(stack)["greeting"] == "hello"
    with pytest.raises(StackError, match="no service 'frod'; there are gateway, fraud"):
        stack.kill("frod")


def test_killed_servers_come_back_on_request(stack: Stack) -> None:
    httpx.post(f"{stack.url('fraud')}/notes", timeout=30).raise_for_status()
    notes = greeting(stack)["notes"]
    stack.postgres.kill()
    stack.nats.kill()
    stack.anvil.kill()
    assert stack.revive_servers() == ["postgres", "nats", "anvil"]
    assert stack.revive_servers() == []
    stack.wait_ready()
    assert greeting(stack)["notes"] == notes


def test_a_killed_fork_server_takes_its_services_along_and_all_come_back(stack: Stack) -> None:
    service = psutil.Process(stack.pid("fraud"))
    parent = service.parent()
    assert parent is not None
    parent.kill()
    wait_for(lambda: not service.is_running() or service.status() == psutil.STATUS_ZOMBIE)
    assert stack.revive_servers() == ["fork server"]
    stack.wait_ready()
    assert greeting(stack)["greeting"] == "hello"


async def test_a_service_may_not_change_its_tables(stack: Stack) -> None:
    url = (stack.settings.secrets_folder / "services" / "fraud" / "snowrail_database_url").read_text()
    connection = await asyncpg.connect(url, ssl=False)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DROP TABLE note")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE other (id int)")
    finally:
        await connection.close()


def test_secrets_are_nobody_elses(stack: Stack) -> None:
    assert stack.settings.secrets_folder.stat().st_mode & 0o077 == 0
    assert stack.settings.description_file.stat().st_mode & 0o077 == 0


def test_the_chain_is_described_and_people_have_money(stack: Stack) -> None:
    chain = ChainRegistry.load(stack.settings.chains_file).chain(31337)
    assert stack.anvil.call("eth_getCode", chain.escrow, "latest") != "0x"
    assert [token.symbol for token in chain.tokens] == ["CRO", "WCRO", "USDC", "USDT"]
    block = int(stack.anvil.call("eth_blockNumber"), 16)
    wait_for(lambda: int(stack.anvil.call("eth_blockNumber"), 16) > block)


def test_status_tells_what_runs(stack: Stack) -> None:
    lines = {line.name: line for line in read_status(stack.settings)}
    assert set(lines) == {"postgres", "nats", "anvil", "fork-server", "price-provider", "gateway", "fraud"}
    assert lines["fraud"].health == "ready"
    assert all(line.memory_bytes > 1_000_000 for line in lines.values())
    assert "fraud" in format_status(list(lines.values()))
    assert stack.url("fraud") in describe(stack)


def test_prices_are_told(stack: Stack) -> None:
    query = {"ids": "crypto-com-chain", "vs_currencies": "usd"}
    answer = httpx.get(f"{stack.price_provider_url}/api/v3/simple/price", params=query, timeout=30)
    assert answer.json()["crypto-com-chain"]["usd"] > 0


def test_a_second_stack_in_the_same_folder_is_refused(stack: Stack, folder: Path) -> None:
    with pytest.raises(StackError, match="a stack is running"):
        Stack(settings_in(folder)).start()
    assert greeting(stack)["greeting"] == "hello"


def test_data_is_kept_until_it_is_reset(folder: Path) -> None:
    own = folder.with_name("kept")
    settings = settings_in(own)
    first = Stack(settings)
    with first:
        httpx.post(f"{first.url('fraud')}/notes", timeout=30).raise_for_status()
        escrow = ChainRegistry.load(settings.chains_file).chain(31337).escrow
        processes = [psutil.Process(first.pid("fraud")), *(psutil.Process(s.pid or 0) for s in first.servers)]
    assert not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    second = Stack(settings)
    with second:
        assert greeting(second)["notes"] == 1
        assert ChainRegistry.load(settings.chains_file).chain(31337).escrow == escrow
    assert reset(settings) == 0
    assert not own.exists()


def test_only_a_stacks_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(StackError, match="not made by a stack"):
        reset(settings_in(tmp_path))
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize(
    ("package", "message"),
    [("no_such_package", "not installed: no_such_package"), ("sample_broken", "broken on purpose")],
)
def test_a_service_that_cannot_start_is_an_error(folder: Path, package: str, message: str) -> None:
    service = LocalService("gateway", 0, package, has_database=False)
    settings = settings_in(folder.with_name(package), (service,))
    with pytest.raises(StackError, match=message):
        Stack(settings).start()
    records = settings.state_folder.glob("*/*.process.json")
    assert not [record for record in records if find_recorded_process(record) is not None]


def test_a_port_that_is_taken_is_named(stack: Stack, folder: Path) -> None:
    services = (
        LocalService("gateway", stack.settings.services[0].port, "sample_gateway", has_database=False),
    )
    other = StackSettings(folder.with_name("taken"), services=services, ports=settings_in(folder).ports)
    with pytest.raises(StackError, match=rf"{services[0].port} \(gateway\)"):
        Stack(other).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_stays_until_told_to_stop_and_revives_servers(folder: Path, number: signal.Signals) -> None:
    own = folder.with_name(f"up-{number.name}")
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from test_stack import settings_in\n"
        "from snowrail_local.cli import up\n"
        "sys.exit(up(settings_in(Path(sys.argv[1]))))\n"
    )
    command = [sys.executable, "-c", script, str(own)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as launcher:
        assert launcher.stdout is not None
        wait_for(lambda: (own / "stack.json").exists(), timeout_seconds=60)
        broker = find_recorded_process(own / "nats" / "nats.process.json")
        assert broker is not None
        broker.kill()
        assert any("nats had ended" in line for line in launcher.stdout)
        launcher.send_signal(number)
        rest, _ = launcher.communicate(timeout=60)
        assert "stopped; the data is kept" in rest
        assert launcher.returncode == 0
    assert not [
        record for record in own.glob("*/*.process.json") if find_recorded_process(record) is not None
    ]


@pytest.mark.faults
def test_a_killed_launcher_leaves_nothing_that_the_next_start_does_not_end(folder: Path) -> None:
    own = folder.with_name("killed")
    script = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from test_stack import Stack, settings_in\n"
        "stack = Stack(settings_in(Path(sys.argv[1])))\n"
        "stack.start()\n"
        "print(stack.pid('fraud'), *(server.pid for server in stack.servers), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(own)], stdout=subprocess.PIPE, timeout=90, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    service, *servers = (psutil.Process(int(pid)) for pid in killed.stdout.split())
    wait_for(lambda: not service.is_running() or service.status() == psutil.STATUS_ZOMBIE)
    with Stack(settings_in(own)) as stack:
        assert greeting(stack)["notes"] == 0
        left = [p for p in servers if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        assert not left
    reset(settings_in(own))
