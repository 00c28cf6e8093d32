"""Requests are refused for the first reason a person would mend; what passes becomes one exact order."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain.addresses import checksum_address
from snowrail_chain.eip712 import order_hash
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.limits import LevelLimits, Payments, Spent, find_exceeded
from snowrail_intent.domain.orders import order_salt
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.requests import approval_needed, create_intent, is_same_request
from snowrail_intent.domain.states import Status

from .samples import (
    CHAIN,
    CRO,
    NOW,
    PACE,
    PAYER,
    POLICY,
    RECIPIENT,
    USDC,
    a_request,
    an_intent,
    circumstances,
)


def refusal_of(request: dict[str, Any], seen: dict[str, Any]) -> Refusal | None:
    made = create_intent(a_request(**request), circumstances(**seen), POLICY, PACE)
    return made if isinstance(made, Refusal) else None


@pytest.mark.parametrize(
    ("request_changes", "seen_changes", "code", "says"),
    [
        ({"recipient": "0x12"}, {}, "address_malformed", "40 hexadecimal digits"),
        ({"recipient": RECIPIENT.lower()}, {}, "address_checksum_missing", RECIPIENT),
        ({"recipient": RECIPIENT.replace("C8", "c8")}, {}, "address_checksum_wrong", "character is wrong"),
        ({"payer": RECIPIENT}, {}, "wrong_payer", PAYER.address),
        ({"recipient": PAYER.address}, {}, "same_account", "another recipient"),
        ({"not_before": NOW + timedelta(days=367)}, {}, "too_far_ahead", "366 days"),
        ({}, {"limits": None}, "limit_unknown", "USDC"),
        ({}, {"limits": LevelLimits(gas_per_day=1, tokens={})}, "limit_unknown", "USDC"),
        ({"amount": 10_001}, {"balance": 10**9}, "limit_exceeded", "at most 0.01 USDC"),
        ({}, {"spent": Spent(amount=19_001)}, "limit_exceeded", "still pay 0.000999 USDC"),
        ({}, {"spent": Spent(amount=99_999)}, "limit_exceeded", "still pay 0 USDC"),
        ({}, {"spent": Spent(gas=850_001)}, "sponsored_fees_exhausted", "tomorrow"),
        ({}, {"balance": 999}, "insufficient_funds", "holds 0.000999 USDC"),
        ({}, {"is_repeated": True}, "duplicate_payment", "acknowledge duplicate_payment"),
        ({"recipient": CHAIN.escrow}, {}, "invalid_terms", "recipient"),
    ],
)
def test_what_is_refused_says_what_to_do(
    request_changes: dict[str, Any], seen_changes: dict[str, Any], code: str, says: str
) -> None:
    refusal = refusal_of(request_changes, seen_changes)
    assert refusal is not None
    assert refusal.code == code
    assert says in refusal.detail


def look_alike_of(address: str) -> str:
    """Return another address with the same first and last four digits, in its EIP-55 form."""
    return checksum_address(bytes.fromhex(f"{address[2:6]}{'5a' * 16}{address[-4:]}"))


def test_an_address_that_resembles_a_known_payee_waits_for_its_acknowledgement() -> None:
    poisoned = look_alike_of(RECIPIENT)
    refusal = refusal_of({"recipient": poisoned}, {"paid_recipients": {RECIPIENT}})
    assert refusal is not None
    assert refusal.code == "lookalike_address"
    assert poisoned in refusal.detail
    assert RECIPIENT in refusal.detail
    acknowledged = {"recipient": poisoned, "acknowledged": frozenset({"lookalike_address"})}
    assert refusal_of(acknowledged, {"paid_recipients": {RECIPIENT}}) is None


def test_whom_one_has_paid_is_no_look_alike_of_another() -> None:
    both = {RECIPIENT, look_alike_of(RECIPIENT)}
    assert refusal_of({}, {"paid_recipients": both}) is None
    assert refusal_of({}, {"paid_recipients": {CHAIN.escrow}}) is None


def test_a_repetition_that_is_acknowledged_is_paid_again() -> None:
    request = {"acknowledged": frozenset({"duplicate_payment"})}
    assert refusal_of(request, {"is_repeated": True}) is None


def test_a_scheduled_payment_needs_its_funds_later() -> None:
    assert refusal_of({"not_before": NOW + timedelta(seconds=1)}, {"balance": 0}) is None
    assert refusal_of({"not_before": NOW - timedelta(seconds=1)}, {"balance": 0}) is not None


def test_an_intent_holds_exactly_the_terms_that_were_asked_for() -> None:
    intent = an_intent(USDC)
    order = intent.order
    assert (order.payer, order.recipient, order.token) == (PAYER.address, RECIPIENT, USDC.address)
    assert (order.amount, order.max_executions, order.min_interval) == (1_000, 1, 0)
    assert (order.safety_buffer, order.max_fee) == (0, 0)
    assert order.max_gas_price == 35
    assert order.valid_after == int(NOW.timestamp()) - 300
    assert order.valid_until == int((NOW + timedelta(days=1)).timestamp())
    assert order.salt == order_salt(intent.intent_id, 0)
    assert intent.order_hash == order_hash(order)
    assert intent.status is Status.AWAITING_AUTHORISATION
    assert intent.next_check_at == intent.expires_at == NOW + timedelta(days=1)
    assert intent.approval_amount == 1_000


def test_a_scheduled_order_opens_at_its_time_and_lives_from_then() -> None:
    at = NOW + timedelta(days=3)
    intent = create_intent(a_request(not_before=at), circumstances(), POLICY, PACE)
    assert isinstance(intent, Intent)
    assert intent.order.valid_after == int(at.timestamp())
    assert intent.expires_at == at + timedelta(days=1)


def test_the_gas_ceiling_has_a_floor() -> None:
    assert POLICY.gas_ceiling(1) == 10
    assert POLICY.gas_ceiling(3) == 15


def test_salts_differ_by_intent_and_revision() -> None:
    salts = {order_salt(UUID(int=number), revision) for number in (1, 2) for revision in (0, 1)}
    assert len(salts) == 4
    assert order_salt(UUID(int=1), 0) == order_salt(UUID(int=1), 0)


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.integers(1, 10**30), st.integers(0, 10**30))
def test_an_approval_is_for_all_that_is_open_and_nothing_else(
    allowance: int, promised: int, amount: int, unsigned: int
) -> None:
    order = an_intent(order_amount=amount).order
    obligations = promised + amount + unsigned
    needed = approval_needed(order, allowance, promised, obligations)
    assert needed == (0 if allowance >= promised + amount else obligations)
    assert approval_needed(an_intent(CRO, order_amount=amount).order, 0, promised, obligations) == 0


@given(
    amounts=st.lists(st.integers(1, 12_000), max_size=20),
    gas=st.integers(1, 400_000),
)
def test_accepted_payments_never_exceed_a_limit(amounts: list[int], gas: int) -> None:
    limits = circumstances().limits
    assert limits is not None
    token = f"31337:{USDC.address}"
    spent = Spent()
    for amount in amounts:
        if find_exceeded(limits, token, Payments(amount, gas), spent) is None:
            spent = Spent(spent.amount + amount, spent.gas + gas, spent.month_amount + amount)
            assert amount <= limits.tokens[token].per_transaction
    assert spent.amount <= limits.tokens[token].per_day
    assert spent.gas <= limits.gas_per_day


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": UUID(int=2)},
        {"payer": RECIPIENT},
        {"recipient": CHAIN.escrow},
        {"amount": 1},
        {"token": "1:x"},
    ],
)
def test_a_repeated_id_with_other_terms_is_another_request(changes: dict[str, Any]) -> None:
    assert is_same_request(a_request(), an_intent())
    assert not is_same_request(replace(a_request(), **changes), an_intent())


def test_equal_terms_have_equal_keys() -> None:
    assert a_request().terms_key == a_request(intent_id=UUID(int=5), recipient_label="x").terms_key
    assert a_request().terms_key != a_request(amount=1_001).terms_key
