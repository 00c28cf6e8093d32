"""The fork server: imports every library once, then forks one process per job and keeps it running.

Started as `python -m snowrail_local.fork_server <folder>`. Reads commands as JSON lines from standard input,
and keeps the state of each job in `<folder>/<name>.process.json`. Forking is only safe from a process without
threads, event loop and sockets, which is asserted after the imports. When standard input ends, because
whoever started us is gone, or at SIGTERM, every child is ended and then we end.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import psutil

PRELOADED = (
    "aiohttp",
    "alembic.command",
    "alembic.config",
    "asyncpg",
    "coincurve",
    "eth_abi.abi",
    "eth_account",
    "eth_hash.auto",
    "fastapi",
    "faststream.nats",
    "httptools",
    "httpx",
    "jwt",
    "lark",
    "nats.js",
    "nkeys",
    "opentelemetry.sdk.trace.export",
    "orjson",
    "prometheus_client",
    "pydantic_settings",
    "sqlalchemy.ext.asyncio",
    "structlog",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "uvloop",
    "websockets",
    "snowrail_events",
    "snowrail_chain.deploy",
    "snowrail_kit.cli",
    "snowrail_kit.migrations",
    "snowrail_local.jobs",
)
RESTART_DELAYS_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
STABLE_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 15.0
POLL_SECONDS = 0.05
READ_BYTES = 65_536
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15


@dataclass
class Job:
    """A process to run.

    Attributes:
        name: names its state file and, on Linux, the process.
        target: `module:function`.
        arguments: text arguments of the function.
        environment: the whole environment.
        log_file: takes standard output and error.
        keep_running: fork it again whenever it ends, until told to stop.
    """

    name: str
    target: str
    arguments: list[str]
    environment: dict[str, str]
    log_file: str
    keep_running: bool
    pid: int = 0
    started_at: float = 0.0
    starts: int = 0
    failures: int = 0
    restart_at: float | None = None
    exit_code: int | None = None
    stopping: bool = False

    @property
    def state(self) -> str:
        """`running`, `waiting` to be forked again, `finished` by itself, or `stopped` on demand."""
        if self.pid:
            return "running"
        if self.restart_at is not None:
            return "waiting"
        return "stopped" if self.stopping else "finished"


class ForkServer:
    """Runs jobs in forked children of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs: dict[str, Job] = {}
        self._ending = False
        self._unread = b""
        self._wake_reader, self._wake_writer = os.pipe()

    def run(self) -> None:
        """Take commands until standard input ends or SIGTERM arrives."""
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _note)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with selectors.SelectSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            while not self._ending:
                ready = [key.fd for key, _ in selector.select(self._seconds_to_wait())]
                if self._wake_reader in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_reader, READ_BYTES)
                if 0 in ready:
                    self._read_commands()
                self._reap()
                self._fork_due()
        self._end_children()

    def _end(self, *_: object) -> None:
        self._ending = True

    def _seconds_to_wait(self) -> float | None:
        moments = [job.restart_at for job in self._jobs.values() if job.restart_at is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _read_commands(self) -> None:
        data = os.read(0, READ_BYTES)
        if not data:
            self._ending = True
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, command: dict[str, Any]) -> None:
        if command["do"] == "run":
            job = Job(**command["job"])
            known = self._jobs.get(job.name)
            if known is not None and known.pid:
                sys.stderr.write(f"{job.name} runs already\n")
                return
            job.starts = known.starts if known is not None else 0
            self._jobs[job.name] = job
            self._fork(job)
        elif command["do"] == "stop":
            job = self._jobs[command["name"]]
            job.stopping = True
            job.restart_at = None
            if job.pid:
                os.kill(job.pid, command["signal"])
            else:
                self._write_state(job)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for job in self._jobs.values():
                if job.pid == pid:
                    self._ended(job, os.waitstatus_to_exitcode(status))

    def _ended(self, job: Job, exit_code: int) -> None:
        lived_seconds = time.time() - job.started_at
        job.pid = 0
        job.exit_code = exit_code
        if job.keep_running and not job.stopping and not self._ending:
            job.failures = 0 if lived_seconds > STABLE_SECONDS else job.failures + 1
            delay = RESTART_DELAYS_SECONDS[min(job.failures, len(RESTART_DELAYS_SECONDS)) - 1]
            job.restart_at = time.monotonic() + (delay if job.failures else RESTART_DELAYS_SECONDS[0])
        self._write_state(job)

    def _fork_due(self) -> None:
        for job in self._jobs.values():
            if job.restart_at is not None and time.monotonic() >= job.restart_at:
                self._fork(job)

    def _fork(self, job: Job) -> None:
        job.restart_at = None
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(job, parent)
        job.pid = pid
        job.started_at = time.time()
        job.starts += 1
        self._write_state(job)

    def _become(self, job: Job, parent: int) -> NoReturn:
        """Be the job: in the child, with nothing of the parent left but its imported modules."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._wake_reader)
            os.close(self._wake_writer)
            _tell_kernel(job.name, parent)
            _redirect(job.log_file)
            os.environ.clear()
            os.environ.update(job.environment)
            time.tzset()
            gc.enable()
            module, _, function = job.target.partition(":")
            getattr(importlib.import_module(module), function)(*job.arguments)
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _end_children(self) -> None:
        for number, timeout_seconds in ((signal.SIGTERM, STOP_TIMEOUT_SECONDS), (signal.SIGKILL, 5.0)):
            for job in self._jobs.values():
                if job.pid:
                    os.kill(job.pid, signal.SIGCONT)
                    os.kill(job.pid, number)
            deadline = time.monotonic() + timeout_seconds
            while any(job.pid for job in self._jobs.values()) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                self._reap()

    def _write_state(self, job: Job) -> None:
        state = {
            "name": job.name,
            "state": job.state,
            "pid": job.pid,
            "started_at": job.started_at,
            "starts": job.starts,
            "exit_code": job.exit_code,
        }
        file = self._folder / f"{job.name}.process.json"
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(state))
        unfinished.replace(file)


def _note(*_: object) -> None:
    """Let a signal wake the selector through the wake-up pipe."""


def _tell_kernel(name: str, parent: int) -> None:
    """On Linux, be named after the job, and get SIGTERM when the fork server is gone."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("the fork server is gone")


def _redirect(log_file: str) -> None:
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)


def assert_can_fork() -> None:
    """Check that nothing was imported that a fork would break.

    Raises:
        AssertionError: a thread or a socket is there.
    """
    process = psutil.Process()
    assert process.num_threads() == 1, f"{process.num_threads()} threads after importing"
    sockets = process.net_connections(kind="all")
    assert not sockets, f"open sockets after importing: {sockets}"


def main() -> None:
    """Import, assert, freeze, serve."""
    gc.disable()
    for name in PRELOADED:
        importlib.import_module(name)
    assert_can_fork()
    gc.collect()
    gc.freeze()
    folder = Path(sys.argv[1])
    (folder / "fork-server.ready").touch()
    ForkServer(folder).run()


if __name__ == "__main__":
    main()
