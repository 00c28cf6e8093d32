"""Lines: nothing crashes, what is rendered is read back, and errors point at the word at fault."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snowrail_chain.addresses import checksum_address
from snowrail_chat.domain.commands import Command, parse, render
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.kinds import READINGS, Kind
from snowrail_chat.domain.registry import COMMANDS
from snowrail_chat.domain.specs import CommandSpec
from snowrail_chat.domain.values import (
    Amount,
    ContactName,
    Currency,
    Handle,
    IdPrefix,
    Signature,
)

from .command_lines import VOCABULARY, commands

ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
MIXED_ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
SIGNATURE = "0x" + "ab" * 65


def refusal(line: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        parse(line, VOCABULARY)
    return caught.value


@given(commands())
def test_what_is_rendered_is_read_back(command: Command) -> None:
    again = parse(render(command), VOCABULARY)
    assert again == command
    assert render(again) == render(command)


@given(st.text(max_size=300))
@example("/pay \0 1")
@example("/pay “")
@example("/")
@example("/pay --acknowledge")
def test_no_text_crashes_and_every_error_points_into_it(text: str) -> None:
    check_any(text)


@given(
    st.lists(
        st.sampled_from(
            [
                "/pay",
                "/confirm",
                "/contacts",
                "add",
                "@alice",
                "100",
                "1,000",
                "CRO",
                '"a b"',
                '"',
                "“",
                "”",
                " ",
                "--acknowledge",
                "duplicate",
                "—x",
                "0x12",
                SIGNATURE,
                ADDRESS,
                "1a2b3c4d",
                "\n",
                "\\",
                "if",
            ]
        ),
        max_size=8,
    ),
    st.sampled_from(["", " "]),
)
def test_no_mixture_of_known_words_crashes(words: list[str], separator: str) -> None:
    check_any(f"/{separator.join(words)}".replace("//", "/"))


def read(text: str) -> Command | CommandError:
    try:
        return parse(text, VOCABULARY)
    except CommandError as error:
        return error


def check_any(text: str) -> None:
    outcome = read(text)
    if isinstance(outcome, Command):
        assert read(render(outcome)) == outcome
    else:
        assert outcome.message
        assert outcome.code
        assert 0 <= outcome.column <= len(text) + 1
        assert outcome.length >= 0


@given(st.binary(min_size=20, max_size=20), st.data())
def test_one_changed_character_of_an_address_is_noticed(raw: bytes, data: st.DataObject) -> None:
    address = checksum_address(raw)
    position = data.draw(st.integers(2, 41))
    character = data.draw(st.sampled_from("0123456789abcdefABCDEF").filter(lambda c: c != address[position]))
    changed = address[:position] + character + address[position + 1 :]
    outcome = read(f"/pay {changed} 1")
    if isinstance(outcome, CommandError):
        assert outcome.code in ("address_checksum_wrong", "address_checksum_missing")
        assert (outcome.column, outcome.length) == (5, 42)
    else:
        # a checksum has about 15 bits: by rare chance the changed text is itself a well-formed address
        assert changed == checksum_address(bytes.fromhex(changed[2:]))


def test_names_are_case_insensitive_and_currency_may_be_left_out() -> None:
    command = parse("  /PaY @Alice 100  ", VOCABULARY)
    assert command.value("to", Handle) == Handle("alice")
    assert command.value("amount", Amount) == Amount("100")
    assert command.optional("currency", Currency) is None


def test_quotes_and_dashes_that_phones_make_are_read() -> None:
    command = parse("/pay “Rent account” 5 usdc —acknowledge duplicate", VOCABULARY)
    assert command.value("to", ContactName) == ContactName("Rent account")
    assert command.options == {"acknowledge": ("duplicate",)}
    assert render(command) == '/pay "Rent account" 5 USDC --acknowledge duplicate'


def test_an_option_may_be_repeated_and_counts_once() -> None:
    line = "/pay @alice 5 --acknowledge duplicate --acknowledge lookalike --acknowledge duplicate"
    assert parse(line, VOCABULARY).options == {"acknowledge": ("duplicate", "lookalike")}


def test_a_signature_may_follow_an_id_or_stand_alone() -> None:
    alone = parse(f"/confirm {SIGNATURE}", VOCABULARY)
    assert alone.optional("id", IdPrefix) is None
    assert alone.value("signature", Signature).hex == SIGNATURE
    both = parse(f"/confirm 1A2B3C4D {SIGNATURE}", VOCABULARY)
    assert both.value("id", IdPrefix) == IdPrefix("1a2b3c4d")


def test_a_whole_id_is_an_id() -> None:
    whole = "1a2b3c4d-0000-5000-8000-0123456789ab"
    prefix = parse(f"/cancel {whole}", VOCABULARY).value("id", IdPrefix)
    assert str(prefix.lowest) == str(prefix.highest) == whole
    short = parse("/cancel #1a2b3c4d", VOCABULARY).value("id", IdPrefix)
    assert str(short.lowest) == "1a2b3c4d-0000-0000-0000-000000000000"
    assert str(short.highest) == "1a2b3c4d-ffff-ffff-ffff-ffffffffffff"


@pytest.mark.parametrize(
    ("line", "code", "column", "length", "suggestion"),
    [
        ("/pya @alice 100", "unknown_command", 0, 4, "/pay @alice 100"),
        ("/xyzzy", "unknown_command", 0, 6, "/help"),
        ("/", "unknown_command", 0, 1, "/help"),
        ("/contacts ad bob @bob", "unknown_command", 10, 2, "/contacts add bob @bob"),
        ("/pay @alice 100 CROO", "currency_unknown", 16, 4, "/pay @alice 100 CRO"),
        ("/pay @alice 100CRO", "amount_malformed", 12, 6, "/pay @alice 100 CRO"),
        ("/pay @alice 1e3 CRO", "amount_malformed", 12, 3, "/pay @alice 1000 CRO"),
        ("/pay @alice CRO 100", "amount_expected", 12, 3, None),
        ("/pay", "argument_missing", 5, 0, None),
        ("/pay @alice  ", "argument_missing", 12, 0, None),
        ("/pay @alice 5 CRO now", "too_many_words", 18, 3, "/pay @alice 5 CRO"),
        ("/pay @alice 1,50", "amount_malformed", 12, 4, "/pay @alice 1.50"),
        ("/pay @alice five", "amount_malformed", 12, 4, "/pay @alice 5"),
        ("/pay @alice 5 at", "time_missing", 16, 0, None),
        ("/pay @alice 5 at tomorrow", "time_missing", 25, 0, "/pay @alice 5 at tomorrow 9:00"),
        ("/pay @alice 5 CRO at tomorrow 9", "time_malformed", 30, 1, "/pay @alice 5 CRO at tomorrow 9am"),
        ("/pay @alice 5 at 12/25/2026 9am", "date_malformed", 17, 10, None),
        ("/pay @alice 5 at  someday", "time_malformed", 18, 7, None),
        ("/pay @alice 5 in 2 months", "time_malformed", 19, 6, None),
        ("/pay @alice 5 at 9:00 in 2 hours", "said_twice", 22, 2, None),
        ("/pay @alice 5 if", "condition_malformed", 16, 0, None),
        ("/pay @alice 5 if CRO <= 1", "condition_malformed", 21, 2, "/pay @alice 5 if CRO < 1"),
        ("/pay @alice 5 if gas < 5", "condition_malformed", 24, 0, "/pay @alice 5 if gas < 5 gwei"),
        ("/pay @alice 5 if DOGE < 5", "currency_unknown", 17, 4, None),
        ("/recurring stop 1a2b", "unknown_command", 11, 4, "/recurring setup 1a2b"),
        ("/recurring setup @a 5 every day at 9:00", "handle_malformed", 17, 2, None),
        ("/recurring setup @bob 5 every month at 9am", "recurrence_malformed", 39, 3, None),
        ("/recurring setup @bob 5 every monday on 3 at 9am", "recurrence_malformed", 40, 1, None),
        ("/recurring setup @bob 5 cron 1 2 3", "recurrence_malformed", 29, 5, None),
        ("/recurring setup @bob 5 daily at 9:00 for", "argument_missing", 42, 0, None),
        ("/recurring setup @bob 5 daily at 9:00 until 1/2/2027", "date_malformed", 44, 8, None),
        ("/template save pay @bob 1,50", "amount_malformed", 24, 4, None),
        ("/template save pay @alice 1; @bob", "argument_missing", 29, 4, None),
        ("/template save pay @bob 1 CRO @al 2", "too_many_words", 30, 3, None),
        ("/request 10 UDSC", "currency_unknown", 12, 4, "/request 10 USDC"),
        ("/request 10 EUR", "currency_unknown", 12, 3, None),
        ("/alert CRO abov 1", "choice_unknown", 11, 4, "/alert CRO above 1"),
        ("/alert CRO above 0", "price_malformed", 17, 1, None),
        ("/settings zone berlin", "zone_unknown", 15, 6, "/settings zone Europe/Berlin"),
        ("/notifications quiet 25:00 7:00", "quiet_hours_malformed", 21, 10, None),
        ("/requests open nope", "code_malformed", 15, 4, None),
        ("/pay @alice 5 CRO\n/pay @bob 5", "too_many_words", 18, 4, "/pay @alice 5 CRO"),
        ("/pay @a 5", "handle_malformed", 5, 2, None),
        ('/pay "alice 5', "quote_not_closed", 5, 8, None),
        ("/pay “alice 5", "quote_not_closed", 5, 8, None),
        ('/pay al"ice" 5', "space_missing", 7, 1, None),
        (
            "/pay @alice 5 --acknowledge",
            "option_value_missing",
            14,
            13,
            "/pay @alice 5 --acknowledge duplicate",
        ),
        ("/pay @alice 5 --acknowledge dup", "option_value_unknown", 28, 3, None),
        (
            "/pay @alice 5 --aknowledge duplicate",
            "unknown_option",
            14,
            12,
            "/pay @alice 5 --acknowledge duplicate",
        ),
        ("/wallet --all", "unknown_option", 8, 5, None),
        ("/pay @al\u200bice 5", "invisible_character", 8, 1, None),
        ("/pay @al\0ice 5", "invisible_character", 8, 1, None),
        ("pay @alice 5", "not_a_command", 0, 12, None),
        ("", "not_a_command", 0, 0, None),
        ("/cancel nope", "id_malformed", 8, 4, None),
        ("/confirm 0x1234", "signature_malformed", 9, 6, None),
        ("/history 99", "count_too_large", 9, 2, "/history 50"),
        ("/history some", "count_malformed", 9, 4, None),
        ("/contacts add bob alice", "payee_expected", 18, 5, "/contacts add bob @alice"),
        ("/contacts add bob al!ce", "payee_expected", 18, 5, None),
        ("/contacts add @bob @bob", "name_malformed", 14, 4, None),
        ('/contacts add " bob" @bob', "name_malformed", 14, 6, None),
        (f"/pay {ADDRESS[:-1]} 5", "address_malformed", 5, 41, None),
        (f"/pay {ADDRESS[:-1]}g 5", "address_malformed", 5, 42, None),
        (f"/pay {MIXED_ADDRESS[:-1]}7 5", "address_checksum_wrong", 5, 42, None),
        (f"/pay {MIXED_ADDRESS.lower()} 5", "address_checksum_missing", 5, 42, f"/pay {MIXED_ADDRESS} 5"),
    ],
)
def test_errors_point_at_the_word_and_offer_what_was_meant(
    line: str, code: str, column: int, length: int, suggestion: str | None
) -> None:
    error = refusal(line)
    assert (error.code, error.column, error.length) == (code, column, length)
    if suggestion is None:
        assert error.suggestions == () or error.code == "option_value_unknown"
    else:
        assert error.suggestions[0] == suggestion


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)
def test_examples_and_aliases_are_understood(spec: CommandSpec) -> None:
    for line in spec.examples:
        assert parse(line, VOCABULARY).spec is spec
    for alias in spec.aliases:
        assert parse(f"/{alias}", VOCABULARY).spec is spec


def test_every_kind_can_be_read() -> None:
    assert set(READINGS) | {Kind.CHOICE, Kind.PAYMENTS} == set(Kind)


def test_an_acknowledgement_is_added_once() -> None:
    command = parse("/pay @alice 5", VOCABULARY).with_option("acknowledge", "duplicate")
    assert render(command) == "/pay @alice 5 --acknowledge duplicate"
    assert command.with_option("acknowledge", "duplicate") is command
