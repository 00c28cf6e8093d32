"""What a message must state to let somebody in, and who signed it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from snowrail_accounts.domain.message import parse_message
from snowrail_accounts.domain.sign_in import (
    CLOCK_TOLERANCE,
    IssuedNonce,
    Origin,
    SignInRefused,
    check_message,
    check_signature,
    compose_message,
    personal_digest,
)
from snowrail_testkit.fixed import START_OF_TIME

# anvil's first development account: publicly known
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
OTHER_ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
ORIGIN = Origin.of("https://pay.example:8443")
ISSUED = IssuedNonce(
    nonce="0123456789abcdef",
    address=ADDRESS,
    chain_id=31337,
    issued_at=START_OF_TIME,
    expires_at=START_OF_TIME + timedelta(minutes=10),
)
MESSAGE = compose_message(ISSUED, ORIGIN, "Sign in.")


def signed(text: str) -> str:
    """Return the signature of a text by the development account, as an independent library makes it."""
    return "0x" + Account.sign_message(encode_defunct(text=text), KEY).signature.hex().removeprefix("0x")


def test_the_composed_message_is_for_the_origin_and_the_nonce() -> None:
    assert parse_message(MESSAGE.render()) == MESSAGE
    assert MESSAGE.render() == (
        "pay.example:8443 wants you to sign in with your Ethereum account:\n"
        f"{ADDRESS}\n\nSign in.\n\n"
        "URI: https://pay.example:8443\nVersion: 1\nChain ID: 31337\nNonce: 0123456789abcdef\n"
        "Issued At: 2026-01-01T12:00:00.000Z\nExpiration Time: 2026-01-01T12:10:00.000Z"
    )
    check_message(MESSAGE, ISSUED, ORIGIN, START_OF_TIME)


@pytest.mark.parametrize(
    ("changed", "now", "code"),
    [
        ({"domain": "evil.example"}, 0, "wrong_domain"),
        ({"domain": "pay.example"}, 0, "wrong_domain"),
        ({"domain": "pay.example.evil.example:8443"}, 0, "wrong_domain"),
        ({"domain": "evil@pay.example:8443"}, 0, "wrong_domain"),
        ({"scheme": "http"}, 0, "wrong_domain"),
        ({"uri": "https://evil.example"}, 0, "wrong_uri"),
        ({"uri": "http://pay.example:8443"}, 0, "wrong_uri"),
        ({"uri": "https://pay.example:8443@evil.example/"}, 0, "wrong_uri"),
        ({"uri": "urn:pay.example:8443"}, 0, "wrong_uri"),
        ({"address": OTHER_ADDRESS}, 0, "wrong_address"),
        ({"chain_id": 1}, 0, "wrong_chain"),
        ({"issued_at": "2026-01-01T12:01:01Z"}, 0, "issued_in_future"),
        ({"issued_at": "2026-01-01T11:58:59Z"}, 0, "issued_too_early"),
        ({}, 600, "message_expired"),
        ({"expiration_time": "2021-01-05T00:00:00Z"}, 0, "message_expired"),
        ({"not_before": "2026-01-01T12:01:01Z"}, 0, "not_yet_valid"),
    ],
)
def test_a_message_for_something_else_is_refused(changed: dict[str, Any], now: int, code: str) -> None:
    with pytest.raises(SignInRefused) as refused:
        check_message(replace(MESSAGE, **changed), ISSUED, ORIGIN, START_OF_TIME + timedelta(seconds=now))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("changed", "now"),
    [
        ({"scheme": "https"}, 0),
        ({"domain": "PAY.example:8443"}, 0),
        ({"uri": "https://pay.example:8443/login?next=/"}, 0),
        ({"issued_at": "2026-01-01T12:01:00Z"}, 0),
        ({"issued_at": "2026-01-01T11:59:00Z"}, 0),
        ({"expiration_time": None}, 5_000),
        ({}, 599),
        ({"not_before": "2026-01-01T12:01:00Z"}, 0),
        ({"resources": ("https://pay.example/terms",), "request_id": "1"}, 0),
    ],
)
def test_what_still_fits_is_accepted(changed: dict[str, Any], now: int) -> None:
    check_message(replace(MESSAGE, **changed), ISSUED, ORIGIN, START_OF_TIME + timedelta(seconds=now))


def test_the_tolerance_is_a_minute() -> None:
    assert CLOCK_TOLERANCE.total_seconds() == 60


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:8080", Origin("http", "127.0.0.1:8080")),
        ("HTTPS://Pay.Example/", Origin("https", "pay.example")),
    ],
)
def test_an_origin_is_scheme_and_host(url: str, origin: Origin) -> None:
    assert Origin.of(url) == origin


@pytest.mark.parametrize("url", ["pay.example", "https://", ""])
def test_what_is_no_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        Origin.of(url)


def test_the_digest_is_the_published_one() -> None:
    # https://docs.web3js.org/api/web3-eth-accounts/function/recover
    assert personal_digest("Some data").hex() == (
        "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655"
    )


@given(st.text(max_size=200))
def test_signatures_of_an_independent_library_are_accepted(text: str) -> None:
    try:
        signature = signed(text)
    except UnicodeEncodeError:
        return
    check_signature(text, signature, ADDRESS)
    with pytest.raises(SignInRefused):
        check_signature(text + ".", signature, ADDRESS)
    with pytest.raises(SignInRefused):
        check_signature(text, signature, OTHER_ADDRESS)


def malformed() -> dict[str, str]:
    """Return signatures that are none, each a small change of a good one."""
    good = signed("text")
    s = int(good[66:130], 16)
    group_order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    flipped = {"1b": "1c", "1c": "1b"}[good[130:]]
    return {
        "empty": "",
        "short": good[:-2],
        "long": good + "00",
        "no prefix": good[2:],
        "not hexadecimal": good[:-1] + "g",
        "the other half": f"{good[:66]}{group_order - s:064x}{flipped}",
        "recovery id 2": good[:-2] + "02",
        "recovery id 29": good[:-2] + "1d",
        "r is zero": f"0x{0:064x}{good[66:]}",
        "r is the group order": f"0x{group_order:064x}{good[66:]}",
        "s is zero": f"{good[:66]}{0:064x}{good[130:]}",
        "r is on no point": f"0x{5:064x}{good[66:]}",
    }


@pytest.mark.parametrize("name", malformed())
def test_a_signature_in_another_form_is_refused(name: str) -> None:
    with pytest.raises(SignInRefused) as refused:
        check_signature("text", malformed()[name], ADDRESS)
    assert refused.value.code == "signature_malformed"
