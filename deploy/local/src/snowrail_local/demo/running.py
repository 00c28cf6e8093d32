"""Playing the demonstration: on the stack that runs, or on one for the time of it."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp

from snowrail_client import SnowrailClient, SnowrailError, Wallet
from snowrail_local.demo.chain import Chain
from snowrail_local.demo.person import Deviation, Person
from snowrail_local.demo.picture import picture_of
from snowrail_local.demo.screen import Screen, Style, wants_colour
from snowrail_local.demo.story import Cast, play
from snowrail_local.servers import ServerStartError
from snowrail_local.servers.process import find_recorded_process
from snowrail_local.stack import LAUNCHER_RECORD_NAME, Stack
from snowrail_local.stack_settings import StackError, StackSettings

STORY_TIMEOUT_SECONDS = 90.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Place:
    """Where the story is played: what a running stack says about itself."""

    origin: str
    chains_file: Path
    keys: tuple[str, ...]

    @classmethod
    def load(cls, description_file: Path) -> "Place":
        """Read the description of a running stack."""
        description: dict[str, Any] = json.loads(description_file.read_text())
        keys = tuple(person["private_key"] for person in description["people"])
        return cls(description["origin"], Path(description["chains_file"]), keys)


def main(settings: StackSettings, picture_file: Path | None = None) -> int:
    """Play the story and return the exit status of the process.

    Args:
        settings: of the stack that runs, or is started.
        picture_file: where to write a picture (SVG) of its main scene, if anywhere.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        with running_stack(settings, _say) as place:
            screen = Screen(sys.stdout, colour=wants_colour(sys.stdout))
            asyncio.run(_perform(place, screen))
    except (Deviation, StackError, ServerStartError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return _failed("interrupted")
    if picture_file is not None:
        picture_file.write_text(picture_of(screen.picture, "make demo"))
    return 0


@contextmanager
def running_stack(settings: StackSettings, tell: Callable[[str], None]) -> Generator[Place]:
    """Lend the stack that runs in the state folder; start one for the time being where none does.

    Raises:
        StackError, ServerStartError: there is none, and none can be started.
    """
    launcher = find_recorded_process(settings.state_folder / LAUNCHER_RECORD_NAME)
    if launcher is None:
        tell("no stack is running: starting one for the time of the demonstration, in less than a minute")
        with Stack(settings):
            yield Place.load(settings.description_file)
        return
    deadline = time.monotonic() + settings.ready_timeout_seconds
    while not settings.description_file.exists():
        if time.monotonic() > deadline or not launcher.is_running():
            raise StackError("the stack that is being started does not become ready; see `make status`")
        time.sleep(_POLL_SECONDS)
    yield Place.load(settings.description_file)


async def _perform(place: Place, screen: Screen) -> None:
    try:
        async with asyncio.timeout(STORY_TIMEOUT_SECONDS):
            await _play(place, screen)
    except TimeoutError as error:
        raise Deviation(f"{screen.title}: no answer in time") from error
    except KeyError as error:
        raise Deviation(f"{screen.title}: an answer lacks {error}") from error
    except (Deviation, SnowrailError, aiohttp.ClientError) as error:
        raise Deviation(f"{screen.title}: {error}") from error
    screen.write()
    screen.write((Style.TITLE, f"done in {screen.elapsed_seconds:.1f} s"))


async def _play(place: Place, screen: Screen) -> None:
    chain = Chain.load(place.chains_file)
    alice, bob = (
        Person(name, SnowrailClient(place.origin, device_label="demo"), Wallet.from_key(key), chain, screen)
        for name, key in zip(("alice", "bob"), place.keys, strict=False)
    )
    try:
        await play(Cast(alice, bob, chain, screen))
    finally:
        await alice.leave()
        await bob.leave()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _failed(reason: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"the demonstration failed: {reason}\n")
    return 1


def _leave(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
