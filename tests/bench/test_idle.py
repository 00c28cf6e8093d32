"""What the platform takes when nobody uses it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from snowrail_local.stack_settings import PORTS_VARIABLE, STATE_VARIABLE, StackSettings
from snowrail_local.status import BYTES_PER_MEBIBYTE, memory_of, read_status

from .conftest import Table
from .stacks import stack_folder
from .usage import processor_seconds, since

READY_TIMEOUT_SECONDS = 120
SETTLING_SECONDS = 20
IDLE_SECONDS = 30


@pytest.mark.bench
def test_idle_platform(table: Table) -> None:
    """The stack as `make up` starts it: time until it is ready, memory of each process, processor time."""
    with stack_folder() as folder:
        environment = {**os.environ, STATE_VARIABLE: str(folder), PORTS_VARIABLE: "free"}
        begun = time.monotonic()
        launcher = subprocess.Popen(
            [sys.executable, "-m", "snowrail_local", "up"], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            settings = StackSettings(folder)
            _wait_until_ready(settings, launcher)
            table.add("make up, until every service is ready", time.monotonic() - begun, "s", "< 60")
            time.sleep(SETTLING_SECONDS)
            _measure_idle(settings, launcher.pid, table)
        finally:
            launcher.send_signal(signal.SIGINT)
            launcher.wait(60)


def _wait_until_ready(settings: StackSettings, launcher: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while not settings.description_file.exists():
        assert launcher.poll() is None, "the stack ended"
        assert time.monotonic() < deadline, "the stack is not ready in time"
        time.sleep(0.05)


def _measure_idle(settings: StackSettings, launcher_pid: int, table: Table) -> None:
    before, begun = _seconds(settings, launcher_pid), time.monotonic()
    time.sleep(IDLE_SECONDS)
    used = since(before, _seconds(settings, launcher_pid))
    elapsed = time.monotonic() - begun
    shares = ", ".join(f"{name} {100 * seconds / elapsed:.1f}" for name, seconds in used.items())
    print(f"\n  percent of one core: {shares}", flush=True)
    table.add("idle, processor time of one core", 100 * sum(used.values()) / elapsed, "%", "< 15")
    total = memory_of(launcher_pid, family=False)
    for line in read_status(settings):
        total += line.memory_bytes
        table.add(f"idle, memory of {line.name}", line.memory_bytes / BYTES_PER_MEBIBYTE, "MB PSS")
    table.add("idle, memory of all processes", total / BYTES_PER_MEBIBYTE, "MB PSS", "< 1200")


def _seconds(settings: StackSettings, launcher_pid: int) -> dict[str, float]:
    times = psutil.Process(launcher_pid).cpu_times()
    return {"launcher": times.user + times.system, **processor_seconds(settings)}
