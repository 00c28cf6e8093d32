"""The demonstration, played on a real stack, and what it does when something deviates."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from snowrail_local.demo.picture import picture_of
from snowrail_local.demo.running import running_stack
from snowrail_local.demo.screen import Screen, Style, wants_colour
from snowrail_local.dev_accounts import people
from snowrail_local.service_table import LocalService
from snowrail_local.stack import Stack
from snowrail_local.stack_settings import STATE_VARIABLE, StackSettings
from snowrail_testkit.servers import close_run_folder, open_run_folder

SAMPLES = Path(__file__).parent / "sample_services"
DEMO_TIMEOUT_SECONDS = 120
TOLD_IN_ORDER = (
    "alice  (wallet)           signed the sign-in message (EIP-4361)",
    "alice> /help",
    "/pay <to> <amount> [currency]",
    "alice> /wallet",
    "alice> /pay @bob 7.5 CRO",
    "Pay 7.5 CRO to @bob (0x90F7…b906) [awaiting authorisation]",
    "alice  (wallet)           Sign: sends 7.5 CRO to 0x",
    "alice  notification       Deposit confirmed: 7.5 CRO is in the escrow",
    "alice  tx:pending         7.5 CRO in 0x",
    "unread high     Payment received: 7.5 CRO arrived from @alice.",
    "bob    notification:read",
    "read   high     Payment received: 7.5 CRO arrived from @alice.",
    "alice> /pay @bob 25 USDC",
    "alice  (wallet)           Approve USDC: sends a call to 0x",
    "alice  (wallet)           signed the Order (EIP-712)",
    "alice> /status",
    "[lookalike address]",
    "[address checksum wrong]",
    "[insufficient funds]",
    "alice  (wallet)           Cancel on chain: sends a call to 0x",
    "alice  notification       Deposit returned: 3 CRO went back to your wallet.",
    "-25 USDC to @bob",
    "(+7.5 CRO)",
    "(+25 USDC)",
    "done in ",
)
TOLD_SOMEWHERE = (
    "  /pay   /pay <to>",
    "alice  intent:created     7.5 CRO to @bob: awaiting authorisation",
    "alice  intent:executed    25 USDC in 0x",
    "alice  payment_processed  sent 7.5 CRO to 0x90F79b…93b906",
    "bob    payment_processed  received 25 USDC from 0x3C44Cd…4293BC",
    "bob    notification       Payment received: 25 USDC arrived from @alice.",
    "alice  chat:message       card “Pay 25 USDC to @bob”: final (7 of 7)",
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    run_folder = open_run_folder()
    yield run_folder
    close_run_folder(run_folder)


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """Everything, with quick blocks, and without the limits that a person would have to wait for."""
    settings = replace(
        StackSettings.on_free_ports(folder / "state"),
        environment={"SNOWRAIL_RATE_LIMIT_MULTIPLIER": "10"},
        postgres_settings={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
        block_time_seconds=0.25,
        confirmations=2,
    )
    with Stack(settings) as running:
        yield running


def play(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snowrail_local", "demo", *arguments],
        env={**os.environ, STATE_VARIABLE: str(stack.settings.state_folder), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=DEMO_TIMEOUT_SECONDS,
        check=False,
    )


def test_the_story_is_told_to_its_end(stack: Stack, tmp_path: Path) -> None:
    picture = tmp_path / "demo.svg"
    played = play(stack, "--picture", str(picture))
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stderr == ""
    rest = played.stdout
    for line in TOLD_IN_ORDER:
        assert line in rest, f"{line!r} does not follow in\n{played.stdout}"
        rest = rest[rest.index(line) + len(line) :]
    for line in TOLD_SOMEWHERE:
        assert line in played.stdout, f"{line!r} is missing in\n{played.stdout}"
    assert "\033" not in played.stdout
    drawn = "".join(ElementTree.fromstring(picture.read_text()).itertext())  # noqa: S314 - our own
    assert "Pay 7.5 CRO to @bob" in drawn
    assert "alice> /help" not in drawn


def test_the_story_can_be_told_again(stack: Stack) -> None:
    played = play(stack)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "--acknowledge duplicate" in played.stdout
    assert "(+7.5 CRO)" in played.stdout


def test_a_deviation_is_an_error_that_says_what_and_where(stack: Stack) -> None:
    alice = people()[0].address
    balance = stack.anvil.call("eth_getBalance", alice, "latest")
    stack.anvil.call("anvil_setBalance", alice, hex(10**18))
    try:
        played = play(stack)
    finally:
        stack.anvil.call("anvil_setBalance", alice, balance)
    assert played.returncode == 1
    assert played.stderr.startswith("the demonstration failed: A payment in CRO")
    assert played.stderr.endswith("The payment was not prepared. (insufficient funds)\n")
    assert "Traceback" not in played.stderr
    assert "done in" not in played.stdout


def test_a_stack_is_started_where_none_runs_and_used_where_one_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SAMPLES)
    monkeypatch.setenv("PYTHONPATH", str(SAMPLES))
    services = (LocalService("gateway", 0, "sample_gateway", has_database=False),)
    settings = StackSettings.on_free_ports(folder / "own", services)
    said: list[str] = []
    with running_stack(settings, said.append) as place:
        assert len(said) == 1
        assert place.origin == settings.origin
        assert place.keys[0] == people()[0].private_key
        with running_stack(settings, said.append) as same:
            assert same == place
        assert settings.description_file.exists()
        assert len(said) == 1
    assert not settings.description_file.exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_of_people_who_want_it() -> None:
    assert wants_colour(Terminal(), {"TERM": "xterm"})
    assert wants_colour(Terminal(), {"NO_COLOR": ""})
    assert not wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert not wants_colour(Terminal(), {"TERM": "dumb"})
    assert not wants_colour(io.StringIO(), {"TERM": "xterm"})


@pytest.mark.parametrize(("colour", "written"), [(False, "  hello\n"), (True, "\033[32m  hello\033[0m\n")])
def test_lines_are_written_with_or_without_colour(colour: bool, written: str) -> None:
    out = io.StringIO()
    Screen(out, colour=colour).note("hello", Style.GOOD)
    assert out.getvalue() == written


def test_a_picture_shows_pictured_scenes_alone_and_escapes_what_they_say() -> None:
    screen = Screen(io.StringIO(), colour=False)
    screen.scene("one")
    screen.note("left out")
    screen.scene("two", pictured=True)
    screen.typed("alice", "/pay <to> & <amount>")
    screen.scene("three")
    screen.note("left out")
    root = ElementTree.fromstring(picture_of(screen.picture, "a & b"))  # noqa: S314 - our own
    drawn = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert drawn[0] == "a & b"
    assert drawn[1].startswith("── two ")
    assert drawn[2:] == ["alice> /pay <to> & <amount>"]
