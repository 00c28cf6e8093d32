"""The side of the fork server that gives commands."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from snowrail_local.servers import end_recorded_process
from snowrail_local.servers.process import log_tail, record_process, rotate_log, wait_until_gone

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.02
READY_NAME = "fork-server.ready"


class ForkServerError(RuntimeError):
    """The fork server ended or does not answer."""


@dataclass(frozen=True)
class JobState:
    """What the fork server last wrote about a job.

    Attributes:
        state: `running`, `waiting` (to be forked again), `finished`, `stopped` or `unknown`.
        pid: 0 unless running.
        starts: how often it was forked.
        exit_code: of the last run; negative for a signal; None before the first end.
    """

    state: str = "unknown"
    pid: int = 0
    starts: int = 0
    exit_code: int | None = None


class ForkServerClient:
    """Starts the fork server and tells it what to run. Its jobs end with it, and it ends with us."""

    def __init__(self, folder: Path, log_folder: Path) -> None:
        """Use `folder` for state files, and `log_folder` for what the jobs print."""
        self._folder = folder
        self._log_folder = log_folder
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the fork server."""
        return self._popen.pid if self._popen is not None and self._popen.poll() is None else None

    def log_file(self, name: str) -> Path:
        """Return where a job's output goes."""
        return self._log_folder / f"{name}.log"

    def launch(self) -> None:
        """Start the fork server without waiting for its imports, ending one that was left behind."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log_folder.mkdir(parents=True, exist_ok=True)
        self.end_leftover()
        for stale in (*self._folder.glob("*.process.json"), self._folder / READY_NAME):
            stale.unlink(missing_ok=True)
        log_file = self.log_file("fork-server")
        rotate_log(log_file)
        with log_file.open("ab") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "snowrail_local.fork_server", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        record_process(self._record_file, self._popen.pid)

    def wait_until_ready(self) -> None:
        """Wait for the imports.

        Raises:
            ForkServerError: it ended, or takes too long; the message carries the end of its log.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not (self._folder / READY_NAME).exists():
            if self.pid is None or time.monotonic() > deadline:
                raise self._failure("the fork server did not start")
            time.sleep(POLL_SECONDS)

    def run(
        self, name: str, target: str, arguments: list[str], environment: dict[str, str], *, keep_running: bool
    ) -> None:
        """Fork a job: a function `module:function` with text arguments and an environment of its own.

        Raises:
            ForkServerError: the fork server is gone.
        """
        rotate_log(self.log_file(name))
        job: dict[str, Any] = {
            "name": name,
            "target": target,
            "arguments": arguments,
            "environment": environment,
            "log_file": str(self.log_file(name)),
            "keep_running": keep_running,
        }
        before = self.state(name).starts
        self._send({"do": "run", "job": job})
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while self.state(name).starts == before:
            if self.pid is None or time.monotonic() > deadline:
                raise self._failure(f"{name} was not forked")
            time.sleep(POLL_SECONDS)

    def stop(self, name: str, number: signal.Signals, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> None:
        """End a job with a signal, for good, and wait until it is gone; after the time given it is killed.

        Raises:
            ForkServerError: the fork server is gone.
        """
        self._send({"do": "stop", "name": name, "signal": int(number)})
        if not self._wait_for(name, ("stopped", "finished"), timeout_seconds):
            self._send({"do": "stop", "name": name, "signal": int(signal.SIGKILL)})
            self._wait_for(name, ("stopped", "finished"), timeout_seconds)

    def wait_finished(self, name: str, timeout_seconds: float) -> int:
        """Wait for a job to end by itself and return its exit code.

        Raises:
            ForkServerError: it does not end in time.
        """
        if not self._wait_for(name, ("finished",), timeout_seconds):
            raise ForkServerError(f"{name} did not finish within {timeout_seconds:.0f} s")
        return self.state(name).exit_code or 0

    def state(self, name: str) -> JobState:
        """Return what is known about a job."""
        return read_job_state(self._folder, name)

    def shut_down(self) -> None:
        """End every job, then the fork server."""
        if self._popen is None:
            return
        popen = self._popen
        assert popen.stdin is not None, "it was started with a pipe"
        family = [psutil.Process(popen.pid)] if popen.poll() is None else []
        with contextlib.suppress(psutil.NoSuchProcess):
            family += [child for process in family for child in process.children(recursive=True)]
        with contextlib.suppress(OSError):
            popen.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(STOP_TIMEOUT_SECONDS)
        for process in wait_until_gone(family, 1.0):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        popen.wait(STOP_TIMEOUT_SECONDS)
        self._record_file.unlink(missing_ok=True)
        self._popen = None

    def end_leftover(self) -> None:
        """End a fork server, and its jobs, that somebody else left behind."""
        end_recorded_process(self._record_file, signal.SIGTERM, STOP_TIMEOUT_SECONDS)
        for record in self._folder.glob("*.process.json"):
            end_recorded_process(record, signal.SIGTERM)

    @property
    def _record_file(self) -> Path:
        return self._folder / "fork-server.json"

    def _wait_for(self, name: str, states: tuple[str, ...], timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while self.state(name).state not in states:
            if self.pid is None:
                raise self._failure("the fork server is gone")
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _send(self, command: dict[str, Any]) -> None:
        if self._popen is None or self._popen.stdin is None:
            raise ForkServerError("the fork server was not started")
        try:
            self._popen.stdin.write(json.dumps(command).encode() + b"\n")
            self._popen.stdin.flush()
        except OSError as error:
            raise self._failure("the fork server is gone") from error

    def _failure(self, what: str) -> ForkServerError:
        return ForkServerError(f"{what}; its log ends with:\n{log_tail(self.log_file('fork-server'))}")


def read_job_state(folder: Path, name: str) -> JobState:
    """Return what a fork server last wrote about a job, from any process."""
    try:
        text = (folder / f"{name}.process.json").read_text()
    except FileNotFoundError:
        return JobState()
    record = json.loads(text)
    return JobState(record["state"], record["pid"], record["starts"], record["exit_code"])
