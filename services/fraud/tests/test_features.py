"""Features: what they are made of, where they are capped, and that they survive storage."""

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_fraud.domain.features import (
    AGE_CAP_HOURS,
    COUNT_CAP,
    DEVICE_CAP_HOURS,
    MIN_HISTORY_PAYMENTS,
    RATIO_CAP_THOUSANDTHS,
    Context,
    features_of,
)
from snowrail_testkit.fixed import START_OF_TIME as NOW

QUIET = Context(
    asked_at=NOW,
    amount=100,
    registered_at=NOW - timedelta(days=30),
    is_business=False,
    new_device_at=None,
    is_sanctioned=False,
    is_reported=False,
    payee_payments=3,
    is_look_alike=False,
    history_payments=10,
    history_total=1_000,
    history_largest=200,
    history_first_at=NOW - timedelta(days=5),
    hour_payments=0,
    day_payments=2,
    hour_amount=0,
    day_amount=200,
)


def feature(name: str, **changed: Any) -> int:
    """Return one feature of the quiet context with something changed."""
    return getattr(features_of(replace(QUIET, **changed)), name)


def test_the_features_of_a_quiet_payment() -> None:
    assert asdict(features_of(QUIET)) == {
        "sanctioned": 0,
        "reported": 0,
        "look_alike": 0,
        "payee_payments": 3,
        "hour_payments": 0,
        "day_payments": 2,
        "history_payments": 10,
        "amount_ratio": 1_000,
        "above_largest": 0,
        "hour_ratio": 500,
        "day_ratio": 1_500,
        "account_known": 1,
        "account_age_hours": 720,
        "device_age_hours": DEVICE_CAP_HOURS,
        "business": 0,
    }


@pytest.mark.parametrize(
    ("name", "changed", "value"),
    [
        ("sanctioned", {"is_sanctioned": True}, 1),
        ("reported", {"is_reported": True}, 1),
        ("look_alike", {"is_look_alike": True}, 1),
        ("business", {"is_business": True}, 1),
        ("above_largest", {"amount": 201}, 1),
        ("above_largest", {"amount": 200}, 0),
        ("above_largest", {"amount": 10**30, "history_payments": MIN_HISTORY_PAYMENTS - 1}, 0),
        ("amount_ratio", {"amount": 10**30, "history_payments": MIN_HISTORY_PAYMENTS - 1}, 0),
        ("amount_ratio", {"amount": 10**70}, RATIO_CAP_THOUSANDTHS),
        ("amount_ratio", {"history_total": 0}, 0),
        ("hour_ratio", {"hour_amount": 900}, 5_000),
        ("hour_ratio", {"history_payments": 0, "history_total": 0, "history_first_at": None}, 0),
        ("day_ratio", {"history_first_at": NOW}, 300),
        ("day_ratio", {"history_first_at": NOW + timedelta(days=1)}, 300),
        ("day_ratio", {"history_first_at": None}, 300),
        ("day_ratio", {"history_first_at": NOW - timedelta(days=5, seconds=1)}, 1_807),
        ("payee_payments", {"payee_payments": 10**9}, COUNT_CAP),
        ("hour_payments", {"hour_payments": 10**9}, COUNT_CAP),
        ("day_payments", {"day_payments": 10**9}, COUNT_CAP),
        ("history_payments", {"history_payments": 10**9}, COUNT_CAP),
        ("account_known", {"registered_at": None}, 0),
        ("account_age_hours", {"registered_at": None}, 0),
        ("account_age_hours", {"registered_at": NOW + timedelta(hours=5)}, 0),
        ("account_age_hours", {"registered_at": NOW - timedelta(minutes=119)}, 1),
        ("account_age_hours", {"registered_at": NOW - timedelta(days=999)}, AGE_CAP_HOURS),
        ("device_age_hours", {"new_device_at": NOW - timedelta(minutes=1)}, 0),
        ("device_age_hours", {"new_device_at": NOW - timedelta(days=99)}, DEVICE_CAP_HOURS),
    ],
)
def test_each_feature(name: str, changed: dict[str, Any], value: int) -> None:
    assert feature(name, **changed) == value


moments = st.none() | st.datetimes(timezones=st.just(NOW.tzinfo))
counts = st.integers(0, 2**63)
amounts = st.integers(0, 2**256 - 1)


@given(
    st.builds(
        Context,
        asked_at=st.datetimes(timezones=st.just(NOW.tzinfo)),
        amount=amounts,
        registered_at=moments,
        new_device_at=moments,
        payee_payments=counts,
        history_payments=counts,
        history_total=amounts,
        history_largest=amounts,
        history_first_at=moments,
        hour_payments=counts,
        day_payments=counts,
        hour_amount=amounts,
        day_amount=amounts,
    )
)
def test_features_are_small_and_the_same_after_storage(context: Context) -> None:
    features = features_of(context)
    assert all(0 <= value <= RATIO_CAP_THOUSANDTHS for value in asdict(features).values())
    stored = orjson.loads(orjson.dumps(context.to_json()))
    assert Context.from_json(stored) == context
    assert features_of(Context.from_json(stored)) == features
