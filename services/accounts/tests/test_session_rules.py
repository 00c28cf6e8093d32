"""Refresh tokens over every combination of what is stored, rate limits, network keys."""

from datetime import datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_accounts.domain.rates import RateLimit
from snowrail_accounts.domain.sessions import (
    RefreshOutcome,
    RefreshState,
    decide_refresh,
    encode_token,
    network_key,
    refresh_token_expiry,
    token_hash,
)
from snowrail_testkit.fixed import START_OF_TIME as NOW

BEFORE, AFTER = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("used", "token_expires", "ended", "session_expires"),
    list(product((None, BEFORE, NOW), (BEFORE, NOW, AFTER), (None, BEFORE), (BEFORE, NOW, AFTER))),
)
def test_a_token_is_rotated_only_when_nothing_speaks_against_it(
    used: datetime | None, token_expires: datetime, ended: datetime | None, session_expires: datetime
) -> None:
    outcome = decide_refresh(RefreshState(used, token_expires, ended, session_expires), NOW)
    live = token_expires > NOW and session_expires > NOW
    if ended is not None:
        assert outcome is RefreshOutcome.ENDED
    elif used is not None:
        assert outcome is RefreshOutcome.REUSED
    elif not live:
        assert outcome is RefreshOutcome.EXPIRED
    else:
        assert outcome is RefreshOutcome.ROTATED


def test_an_unknown_token_says_nothing_about_any_session() -> None:
    assert decide_refresh(None, NOW) is RefreshOutcome.UNKNOWN


def test_a_refresh_token_never_outlives_its_session() -> None:
    week = timedelta(days=7)
    assert refresh_token_expiry(NOW, week, NOW + timedelta(days=30)) == NOW + week
    assert refresh_token_expiry(NOW, week, NOW + timedelta(days=1)) == NOW + timedelta(days=1)


def test_tokens_are_long_and_stored_as_hashes() -> None:
    token = encode_token(bytes(32))
    assert len(token) == 43
    assert len(token_hash(token)) == 32
    assert token_hash(token) != token_hash(encode_token(bytes(31) + b"\x01"))


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("x" * 100, "x" * 64),
    ],
)
def test_attempts_are_counted_per_network(host: str, key: str) -> None:
    assert network_key(host) == key


def test_a_limit_says_when_to_try_again() -> None:
    limit = RateLimit("nonce", 6, timedelta(minutes=1))
    assert limit.key("1.2.3.4") == "nonce 1.2.3.4"
    assert limit.interval == timedelta(seconds=10)
    assert limit.retry_after_seconds(NOW + timedelta(seconds=60), NOW) == 10
    assert limit.retry_after_seconds(NOW + timedelta(seconds=50.5), NOW) == 1
    assert limit.retry_after_seconds(NOW, NOW) == 1


@given(st.integers(1, 100), st.integers(1, 86_400), st.integers(0, 10**9))
def test_waiting_as_told_is_enough(times: int, period_seconds: int, over_microseconds: int) -> None:
    limit = RateLimit("any", times, timedelta(seconds=period_seconds))
    full_at = NOW + limit.period - limit.interval + timedelta(microseconds=over_microseconds + 1)
    later = NOW + timedelta(seconds=limit.retry_after_seconds(full_at, NOW))
    assert max(full_at, later) + limit.interval <= later + limit.period
