"""What runs, how much memory it takes, and how it is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from snowrail_local.fork_client import read_job_state
from snowrail_local.servers.process import find_recorded_process
from snowrail_local.stack import PRICES_JOB, answers_ready
from snowrail_local.stack_settings import StackSettings

BYTES_PER_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class ProcessStatus:
    """One line of the table.

    Attributes:
        name: of service or server.
        pid: 0 when it does not run.
        memory_bytes: proportional set size (PSS), which counts shared pages once over all processes.
        health: `ready` or `not ready` where it can be asked, else `running`; `down` without a process.
        starts: how often it was started since the stack was; 0 where nobody counts.
        url: where it answers.
    """

    name: str
    pid: int
    memory_bytes: int
    health: str
    starts: int
    url: str


def read_status(settings: StackSettings) -> list[ProcessStatus]:
    """Return the status of every process of a stack, whoever started it; empty when none was started."""
    if not settings.description_file.exists():
        return []
    description: dict[str, Any] = json.loads(settings.description_file.read_text())
    lines: list[ProcessStatus] = []
    for name, url in description["servers"].items():
        pid = _recorded_pid(settings.state_folder / name / f"{name}.process.json")
        lines.append(ProcessStatus(name, pid, memory_of(pid), "running" if pid else "down", 0, url))
    pid = _recorded_pid(settings.run_folder / "fork-server.json")
    lines.append(
        ProcessStatus("fork-server", pid, memory_of(pid, family=False), "running" if pid else "down", 0, "")
    )
    services: dict[str, str] = {PRICES_JOB: description["price_provider"], **description["services"]}
    for name, url in services.items():
        job = read_job_state(settings.run_folder, name)
        ready = bool(job.pid) and answers_ready(urlsplit(url).port or 0)
        health = ("ready" if ready else "not ready") if job.pid else "down"
        lines.append(ProcessStatus(name, job.pid, memory_of(job.pid), health, job.starts, url))
    return lines


def memory_of(pid: int, *, family: bool = True) -> int:
    """Return the proportional set size of a process, with its children unless told otherwise, in bytes.

    Where the kernel does not tell, or the process is somebody else's, its resident set size stands in.
    """
    if not pid:
        return 0
    total = 0
    try:
        process = psutil.Process(pid)
        for member in [process, *(process.children(recursive=True) if family else ())]:
            try:
                total += getattr(member.memory_full_info(), "pss", 0) or member.memory_info().rss
            except psutil.AccessDenied:
                total += member.memory_info().rss
    except psutil.NoSuchProcess:
        return total
    return total


def format_status(lines: list[ProcessStatus]) -> str:
    """Return the table as text."""
    if not lines:
        return "no stack is running"
    table = [("process", "pid", "memory", "health", "starts", "where")]
    for line in lines:
        memory = f"{line.memory_bytes / BYTES_PER_MEBIBYTE:.0f} MB"
        starts = str(line.starts) if line.starts else ""
        table.append((line.name, str(line.pid or "-"), memory, line.health, starts, line.url))
    total = sum(line.memory_bytes for line in lines) / BYTES_PER_MEBIBYTE
    table.append(("total", "", f"{total:.0f} MB", "", "", ""))
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in table)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def _recorded_pid(record: Path) -> int:
    process = find_recorded_process(record)
    return process.pid if process is not None else 0
