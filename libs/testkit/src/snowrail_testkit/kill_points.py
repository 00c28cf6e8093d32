"""SIGKILL at the k-th scheduling step of the event loop, for every k.

A scheduling step is one callback or task step that the loop runs: between two of them any await may have
completed, so killing at each one visits every state that a process can be found in.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

STEPS_LIMIT = 100_000
SCENARIO_TIMEOUT_SECONDS = 60.0
_READ_BYTES = 64


@dataclass(frozen=True)
class Ending:
    """How a child process ended: killed at its step, or finished after so many steps."""

    killed: bool
    steps: int


class _Counter:
    """Counts the loop's steps and kills the process at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.steps = 0
        self._kill_at = kill_at
        self._armed = False

    def install(self) -> None:
        """Count every callback that asyncio's own (pure Python) handles run from now on."""
        handles: Any = asyncio.Handle
        original = handles._run

        def counted(handle: asyncio.Handle) -> Any:
            if self._armed:
                self.steps += 1
                if self.steps == self._kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return original(handle)

        handles._run = counted

    def arm(self) -> None:
        """Begin to count: what came before is not part of the scenario."""
        self._armed = True

    def disarm(self) -> None:
        """Stop counting: the scenario is over."""
        self._armed = False


Scenario = Callable[[Callable[[], None], Callable[[], None]], Awaitable[None]]
"""`async (begin, end)`: prepares, calls `begin`, does the work, calls `end`, tidies up."""


def run_in_child(scenario: Scenario, kill_at: int | None) -> Ending:
    """Run a scenario in a forked process with an event loop of its own, killing it at a step.

    Args:
        kill_at: the step, from 1; None to let it finish.

    Raises:
        RuntimeError: the child failed in another way than by its kill.
    """
    assert kill_at is None or 1 <= kill_at <= STEPS_LIMIT, "the step is out of bounds"
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(scenario, kill_at, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read(_READ_BYTES)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and kill_at is not None:
        return Ending(killed=True, steps=kill_at)
    if not os.WIFEXITED(status) or os.WEXITSTATUS(status) != 0 or not answer:
        raise RuntimeError(f"the scenario ended with status {status}")
    return Ending(killed=False, steps=int(answer))


def _child(scenario: Scenario, kill_at: int | None, writing: int) -> None:
    counter = _Counter(kill_at)
    counter.install()
    code = 1
    try:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(_awaited(scenario, counter))
        os.write(writing, str(counter.steps).encode())
        code = 0
    except BaseException as error:  # the parent must learn of any failure, and the child must never return
        sys.stderr.write(f"scenario failed: {type(error).__name__}: {error}\n")
    finally:
        sys.stderr.flush()
        os._exit(code)


async def _awaited(scenario: Scenario, counter: _Counter) -> None:
    await asyncio.wait_for(scenario(counter.arm, counter.disarm), SCENARIO_TIMEOUT_SECONDS)
