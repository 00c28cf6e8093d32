"""What can stand at the end of a line that is being typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chat.domain.completion import place_of
from snowrail_chat.domain.kinds import Kind
from snowrail_chat.domain.registry import COMMANDS

USER = frozenset({"user"})


@pytest.mark.parametrize(
    ("text", "start", "prefix", "kind", "words"),
    [
        ("/pay ", 5, "", Kind.RECIPIENT, ()),
        ("/pay @al", 5, "@al", Kind.RECIPIENT, ()),
        ('/pay "Rent a', 5, "Rent a", Kind.RECIPIENT, ()),
        ("/pay “Rent a", 5, "Rent a", Kind.RECIPIENT, ()),
        ("/pay @alice ", 12, "", Kind.AMOUNT, ()),
        ("/pay @alice 5 ", 14, "", Kind.CURRENCY, ("at", "in", "if")),
        ("/pay @alice 5 us", 14, "us", Kind.CURRENCY, ()),
        ("/pay @alice 5 CRO ", 18, "", None, ("at", "in", "if", "--acknowledge")),
        ("/pay @alice 5 CRO i", 18, "i", None, ("in", "if")),
        ("/pay @alice 5 CRO at ", 21, "", Kind.MOMENT, ()),
        ("/pay @alice 5 at tomorrow 9:00 ", 31, "", None, ("if", "--acknowledge")),
        ("/pay at ", 8, "", Kind.AMOUNT, ()),
        ("/recurring ", 11, "", None, ("setup", "list", "pause", "resume", "cancel")),
        ("/recurring setup @bob 5 every ", 30, "", Kind.RECURRENCE, ()),
        ("/template r", 10, "r", None, ("run",)),
        ("/template run ", 14, "", Kind.TEMPLATE, ()),
        ("/alert CRO ", 11, "", Kind.CHOICE, ("above", "below")),
        ("/alert CRO b", 11, "b", Kind.CHOICE, ("below",)),
        ("/settings zone eu", 15, "eu", Kind.ZONE, ()),
        ("/pay @alice 5 --a", 14, "--a", None, ("--acknowledge",)),
        ("/pay @alice 5 --acknowledge ", 28, "", None, ("duplicate", "lookalike")),
        ("/pay @alice 5 --acknowledge du", 28, "du", None, ("duplicate",)),
        ("/pay --acknowledge duplicate @alice ", 36, "", Kind.AMOUNT, ()),
        ("/pay --nope ", 12, "", None, ()),
        ("/cancel ", 8, "", Kind.INTENT, ()),
        ("/cancel 1a", 8, "1a", Kind.INTENT, ()),
        ("/cancel 1a2b ", 13, "", None, ()),
        ("/contacts ", 10, "", None, ("list", "add", "remove")),
        ("/contacts a", 10, "a", None, ("add",)),
        ("/contacts add ", 14, "", Kind.CONTACT, ()),
        ("/contacts add bob ", 18, "", Kind.PAYEE, ()),
        ("/contacts remove b", 17, "b", Kind.CONTACT, ()),
        ("/help contacts a", 15, "a", Kind.TOPIC, ()),
        ("/nope ", 6, "", None, ()),
        ("hello", 0, "hello", None, ()),
        ('/pay a"b', 8, "", None, ()),
    ],
)
def test_the_place_follows_from_the_registry(
    text: str, start: int, prefix: str, kind: Kind | None, words: tuple[str, ...]
) -> None:
    place = place_of(text, USER)
    assert (place.start, place.prefix, place.kind, place.words) == (start, prefix, kind, words)


def test_the_beginning_of_a_name_offers_commands_with_their_usage() -> None:
    assert [spec.name for spec in place_of("/p", USER).commands] == ["pay", "preview"]
    assert place_of("", USER).commands == COMMANDS
    assert place_of("/", USER).commands == COMMANDS
    assert place_of("/PA", USER).commands[0].usage.startswith("/pay <to> <amount>")


def test_nobody_is_offered_what_they_may_not_use() -> None:
    assert place_of("/p", frozenset()).commands == ()
    assert place_of("/pay ", frozenset()).kind is None


def test_the_usage_is_shown_while_arguments_are_typed() -> None:
    usage = place_of("/pay @alice ", USER).usage
    assert usage is not None
    assert usage.startswith("/pay <to>")


@given(st.text(max_size=80), st.sampled_from(["", "/pay ", "/contacts ", "/confirm ", '/pay "']))
def test_no_text_crashes(text: str, start: str) -> None:
    place = place_of(start + text, USER)
    assert 0 <= place.start <= len(start + text)
