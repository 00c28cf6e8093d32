"""What the processes of a stack take: processor time and memory."""

from collections.abc import Mapping

import psutil

from snowrail_local.stack_settings import StackSettings
from snowrail_local.status import read_status


def processor_seconds(settings: StackSettings) -> dict[str, float]:
    """Return the processor time that each process of a running stack has used so far, by name."""
    return {line.name: _seconds_of(line.pid, line.name) for line in read_status(settings) if line.pid}


def since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the differences between two readings, largest first."""
    used = {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}
    return dict(sorted(used.items(), key=lambda item: -item[1]))


def _seconds_of(pid: int, name: str) -> float:
    process = psutil.Process(pid)
    times = process.cpu_times()
    total = times.user + times.system
    if name == "postgres":  # a process for each connection; those that ended count too
        total += times.children_user + times.children_system
        for child in process.children():
            try:
                used = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += used.user + used.system
    return total
