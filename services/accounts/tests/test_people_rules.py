"""Handles, roles, time zones and limits."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_accounts.domain.people import (
    HANDLE_RANDOM_BYTES,
    MAX_LIMIT_CENTS,
    ROLES,
    InvalidChange,
    LimitChange,
    Limits,
    change_roles,
    check_handle,
    check_time_zone,
    generate_handle,
    initial_roles,
)

HANDLE_ON_THE_WIRE = re.compile(r"^[a-z0-9_]{3,32}$")


@given(st.binary(min_size=HANDLE_RANDOM_BYTES, max_size=HANDLE_RANDOM_BYTES))
def test_a_generated_handle_may_be_used(randomness: bytes) -> None:
    handle = generate_handle(randomness)
    check_handle(handle)
    assert HANDLE_ON_THE_WIRE.match(handle)


def test_handles_differ_by_their_randomness() -> None:
    handles = {generate_handle(number.to_bytes(HANDLE_RANDOM_BYTES, "big")) for number in range(5_000)}
    assert len(handles) == 5_000


@pytest.mark.parametrize("handle", ["bob", "a_1", "x" * 32, "alice_in_chains"])
def test_good_handles(handle: str) -> None:
    check_handle(handle)


@pytest.mark.parametrize(
    ("handle", "code"),
    [
        ("", "handle_malformed"),
        ("ab", "handle_malformed"),
        ("x" * 33, "handle_malformed"),
        ("Alice", "handle_malformed"),
        ("0xabc", "handle_malformed"),
        ("_abc", "handle_malformed"),
        ("100", "handle_malformed"),
        ("al ice", "handle_malformed"),
        ("alice\n", "handle_malformed"),
        ("аlice", "handle_malformed"),
        ("admin", "handle_reserved"),
        ("support", "handle_reserved"),
    ],
)
def test_bad_handles(handle: str, code: str) -> None:
    with pytest.raises(InvalidChange) as refused:
        check_handle(handle)
    assert refused.value.code == code


def test_time_zones() -> None:
    check_time_zone("Europe/Berlin")
    check_time_zone("UTC")
    for name in ("", "Berlin", "../etc/passwd", "utc+1"):
        with pytest.raises(InvalidChange) as refused:
            check_time_zone(name)
        assert refused.value.code == "time_zone_unknown"


def test_roles_at_the_first_sign_in() -> None:
    assert initial_roles(False) == ("user",)
    assert initial_roles(True) == ("admin", "user")


def test_roles_are_granted_and_revoked() -> None:
    assert change_roles(("user",), ("merchant", "business"), (), is_own=False) == (
        "business",
        "merchant",
        "user",
    )
    assert change_roles(("business", "user"), (), ("business", "merchant"), is_own=False) == ("user",)
    assert change_roles(("admin", "user"), ("merchant",), (), is_own=True) == ("admin", "merchant", "user")
    assert change_roles(("admin", "user"), (), ("admin",), is_own=False) == ("user",)


@pytest.mark.parametrize(
    ("grant", "revoke", "is_own", "code"),
    [
        (("root",), (), False, "role_unknown"),
        ((), ("root",), False, "role_unknown"),
        (("merchant",), ("merchant",), False, "role_contradiction"),
        ((), ("user",), False, "role_required"),
        ((), ("admin",), True, "role_own_admin"),
    ],
)
def test_roles_that_may_not_change(
    grant: tuple[str, ...], revoke: tuple[str, ...], is_own: bool, code: str
) -> None:
    with pytest.raises(InvalidChange) as refused:
        change_roles(("admin", "user"), grant, revoke, is_own=is_own)
    assert refused.value.code == code


@given(
    st.sets(st.sampled_from(ROLES)),
    st.sets(st.sampled_from(ROLES)),
    st.sets(st.sampled_from(ROLES)),
    st.booleans(),
)
def test_whatever_changes_everybody_stays_a_user(
    current: set[str], grant: set[str], revoke: set[str], is_own: bool
) -> None:
    try:
        roles = change_roles({"user", *current}, grant, revoke, is_own=is_own)
    except InvalidChange:
        return
    assert "user" in roles
    assert set(roles) == ({"user", *current} | grant) - revoke
    assert list(roles) == sorted(roles)


@pytest.mark.parametrize(
    "values", [(0, 1, 2), (-1, 1, 2), (2, 1, 3), (1, 3, 2), (1, 2, MAX_LIMIT_CENTS + 1), (0, 0, 0)]
)
def test_limits_rise_from_transaction_to_month(values: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidChange) as refused:
        Limits(*values)
    assert refused.value.code == "limits_out_of_order"


def test_a_change_of_limits_keeps_what_it_does_not_name() -> None:
    limits = Limits(100, 200, 300)
    assert LimitChange().applied_to(limits) == limits
    assert LimitChange(per_transaction=1).applied_to(limits) == Limits(1, 200, 300)
    assert LimitChange(per_day=250).applied_to(limits) == Limits(100, 250, 300)
    assert LimitChange(per_month=MAX_LIMIT_CENTS).applied_to(limits) == Limits(100, 200, MAX_LIMIT_CENTS)
    with pytest.raises(InvalidChange):
        LimitChange(per_transaction=201).applied_to(limits)
    with pytest.raises(InvalidChange):
        LimitChange(per_transaction=0).applied_to(limits)
