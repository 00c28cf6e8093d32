"""The life of one server process: start, stop, kill, restart, and what a killed parent left behind."""

import contextlib
import json
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil

from snowrail_local.servers.ports import free_port

START_TIME_TOLERANCE_SECONDS = 2.0
LOG_BYTES_KEPT = 20 * 1024 * 1024
LOG_TAIL_BYTES = 2_000
POLL_SECONDS = 0.01
KILL_TIMEOUT_SECONDS = 5.0
START_ATTEMPTS = 5


class ServerStartError(RuntimeError):
    """A server did not become ready; the message carries the end of its log."""


@dataclass(frozen=True)
class LaunchPlan:
    """How to execute a server.

    Attributes:
        command: program and arguments.
        environment: the whole environment of the process, or None to inherit ours.
        user_id: the uid and gid to run under, or None to keep ours.
        working_folder: current directory of the process, or None to inherit ours.
    """

    command: list[str]
    environment: Mapping[str, str] | None = None
    user_id: tuple[int, int] | None = None
    working_folder: Path | None = None


def find_recorded_process(record_file: Path) -> psutil.Process | None:
    """Return the process a record file speaks of, if that very process still runs."""
    try:
        record = json.loads(record_file.read_text())
        process = psutil.Process(int(record["pid"]))
        same = abs(process.create_time() - float(record["started_at"])) < START_TIME_TOLERANCE_SECONDS
        return process if same and _is_alive(process) else None
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None


def record_process(record_file: Path, pid: int) -> None:
    """Write pid and start time, from which the process is found again by whoever comes next."""
    record = {"pid": pid, "started_at": psutil.Process(pid).create_time()}
    record_file.write_text(json.dumps(record))


def end_recorded_process(
    record_file: Path, stop_signal: signal.Signals = signal.SIGTERM, timeout_seconds: float = 10.0
) -> bool:
    """End the process a record file speaks of, together with its children, and forget the record.

    Returns:
        Whether there was such a process.
    """
    process = find_recorded_process(record_file)
    if process is not None:
        end_process_tree(process, stop_signal, timeout_seconds)
    record_file.unlink(missing_ok=True)
    return process is not None


def end_process_tree(process: psutil.Process, stop_signal: signal.Signals, timeout_seconds: float) -> None:
    """Ask a process to end, then kill what is left of it and its children after the time given."""
    family = [process, *_children(process)]
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGCONT)
        process.send_signal(stop_signal)
    kill_all(wait_until_gone(family, timeout_seconds))


def wait_until_gone(processes: Iterable[psutil.Process], timeout_seconds: float) -> list[psutil.Process]:
    """Wait for processes to end and return those that still run.

    A zombie counts as ended: who is to reap an orphan is not up to us.
    """
    deadline = time.monotonic() + timeout_seconds
    alive = [process for process in processes if _is_alive(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        alive = [process for process in alive if _is_alive(process)]
    return alive


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """End processes with SIGKILL and wait until they are gone."""
    family = list(processes)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    wait_until_gone(family, KILL_TIMEOUT_SECONDS)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


class ServerProcess(ABC):
    """A server of its own, in a folder of its own.

    The process is detached: it survives us, holds none of our pipes, and is not hit by a Ctrl-C in our
    terminal. Its pid and start time are recorded in the folder; a process left by a killed parent is ended
    by the next `start`. All methods block for a bounded time; call them through `asyncio.to_thread` where
    an event loop must go on meanwhile. Not safe for use from several threads at once.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        start_timeout_seconds: float = 30.0,
        stop_timeout_seconds: float = 15.0,
    ) -> None:
        """Describe a server that keeps its files in `folder` and listens on 127.0.0.1.

        Args:
            folder: created at start; holds data, log and the record of the running process.
            port: 0 finds a free one at the first start, which then stays the same over restarts.
            start_timeout_seconds: how long `start` waits for readiness.
            stop_timeout_seconds: how long `stop` waits before it kills.
        """
        self.folder = folder
        self.port = port
        self.host = "127.0.0.1"
        self._finds_ports = port == 0
        self._start_timeout_seconds = start_timeout_seconds
        self._stop_timeout_seconds = stop_timeout_seconds
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect to."""

    @abstractmethod
    def _prepare(self) -> LaunchPlan:
        """Create what the server needs on disk and return how to execute it."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Tell whether the server answers its clients."""

    @property
    def log_file(self) -> Path:
        """The server's output."""
        return self.folder / f"{self.name}.log"

    @property
    def record_file(self) -> Path:
        """Pid and start time of the running process."""
        return self.folder / f"{self.name}.process.json"

    @property
    def pid(self) -> int | None:
        """The process id while the server runs."""
        return self._popen.pid if self._popen is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process we started is alive."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start the server and return once it answers.

        Raises:
            ServerStartError: the process ended or did not answer in time.
        """
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.end_leftover()
        attempts = START_ATTEMPTS if self._finds_ports else 1
        for attempt in range(1, attempts + 1):
            self._find_ports()
            plan = self._prepare()
            try:
                self._launch(plan)
                self._wait_until_ready()
            except BaseException as error:
                self._reap(kill_after_seconds=0.0)
                if not isinstance(error, ServerStartError) or attempt == attempts:
                    raise
                self._forget_ports()
            else:
                self._finds_ports = False
                return

    def stop(self) -> None:
        """End the server in order; kill it if that takes longer than the time given."""
        if self._popen is not None:
            if self.running:
                self.resume()
                self._popen.send_signal(self.stop_signal)
            self._reap(kill_after_seconds=self._stop_timeout_seconds)

    def kill(self) -> None:
        """End the server and its children with SIGKILL, as a crash would."""
        self._reap(kill_after_seconds=0.0)

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port with the same data."""
        self.stop()
        self.start()

    def end_leftover(self) -> None:
        """End the server if a killed parent left it running."""
        end_recorded_process(self.record_file, self.stop_signal, self._stop_timeout_seconds)

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nothing answers."""
        self._signal_family(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal_family(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _find_ports(self) -> None:
        if self.port == 0:
            self.port = free_port(self.host)

    def _forget_ports(self) -> None:
        self.port = 0

    def _launch(self, plan: LaunchPlan) -> None:
        rotate_log(self.log_file)
        user_id, group_id = plan.user_id or (None, None)
        with self.log_file.open("ab") as log:
            self._popen = subprocess.Popen(
                plan.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=plan.working_folder,
                env=None if plan.environment is None else dict(plan.environment),
                user=user_id,
                group=group_id,
                extra_groups=None if user_id is None else [],
            )
        with contextlib.suppress(psutil.NoSuchProcess):
            record_process(self.record_file, self._popen.pid)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._start_timeout_seconds
        while time.monotonic() < deadline:
            if not self.running:
                raise ServerStartError(f"{self.name} ended while starting:\n{log_tail(self.log_file)}")
            if self._is_ready():
                return
            time.sleep(POLL_SECONDS)
        waited = f"{self._start_timeout_seconds:.0f} s"
        raise ServerStartError(f"{self.name} did not answer within {waited}:\n{log_tail(self.log_file)}")

    def _reap(self, *, kill_after_seconds: float) -> None:
        popen = self._popen
        if popen is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(kill_after_seconds)
        # children are listed before their parent dies, for afterwards nobody knows whose they were
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = _children(psutil.Process(popen.pid))
        if popen.poll() is None:
            popen.kill()
        kill_all(children)
        popen.wait(KILL_TIMEOUT_SECONDS)
        self.record_file.unlink(missing_ok=True)
        self._popen = None

    def _signal_family(self, number: signal.Signals) -> None:
        if self.pid is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            for member in [process, *_children(process)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.send_signal(number)


def rotate_log(log_file: Path) -> None:
    """Set a log aside that has grown large; called before its writer starts."""
    with contextlib.suppress(FileNotFoundError):
        if log_file.stat().st_size > LOG_BYTES_KEPT:
            log_file.replace(log_file.with_suffix(".log.1"))


def log_tail(log_file: Path) -> str:
    """Return the end of a log, empty if there is none."""
    try:
        with log_file.open("rb") as log:
            log.seek(max(0, log_file.stat().st_size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace")
    except OSError:
        return ""
