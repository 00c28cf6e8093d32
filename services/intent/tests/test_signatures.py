"""A signature authorises one intent of one payer on one chain, and nothing else."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from snowrail_chain.eip712 import signing_digest
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.signatures import Authorisation, check_authorisation, read_signature
from snowrail_intent.domain.states import Status

from .samples import CHAIN, CRO, NOW, PAYER, STRANGER, USER, a_chain, an_intent

OTHER_CHAIN = a_chain(338)
CHAINS = (CHAIN, OTHER_CHAIN)


def signed(intent: Intent, chain_id: int = 31337, escrow: str = CHAIN.escrow, by: Any = PAYER) -> bytes:
    return by.sign(signing_digest(intent.order, chain_id, escrow))


def given(intent: Intent, signature: bytes, **changes: Any) -> Authorisation:
    return replace(Authorisation(intent.intent_id, USER, f"0x{signature.hex()}", None), **changes)


def code_of(outcome: bytes | Refusal) -> str:
    assert isinstance(outcome, Refusal)
    assert outcome.detail.endswith((".", "digits."))
    return outcome.code


def test_the_payers_signature_is_taken_in_the_form_of_the_escrow() -> None:
    intent = an_intent()
    signature = signed(intent)
    assert check_authorisation(intent, given(intent, signature), NOW, CHAINS) == signature
    assert check_authorisation(intent, given(intent, signature, chain_id=31337), NOW, CHAINS) == signature
    zero_based = signature[:-1] + bytes((signature[-1] - 27,))
    assert check_authorisation(intent, given(intent, zero_based), NOW, CHAINS) == signature


def test_signatures_by_others_or_over_other_terms_are_wrong() -> None:
    intent = an_intent()
    by_stranger = given(intent, signed(intent, by=STRANGER))
    assert code_of(check_authorisation(intent, by_stranger, NOW, CHAINS)) == "wrong_signature"
    of_another = given(intent, signed(an_intent(order_amount=999)))
    assert code_of(check_authorisation(intent, of_another, NOW, CHAINS)) == "wrong_signature"


@pytest.mark.parametrize(("chain_id", "escrow"), [(338, OTHER_CHAIN.escrow), (338, CHAIN.escrow)])
def test_a_signature_for_another_chain_says_so(chain_id: int, escrow: str) -> None:
    intent = an_intent()
    other = replace(intent, escrow=CHAIN.escrow)
    outcome = check_authorisation(other, given(intent, signed(intent, chain_id, escrow)), NOW, CHAINS)
    assert code_of(outcome) == "wrong_chain"
    named = given(intent, signed(intent), chain_id=338)
    assert code_of(check_authorisation(intent, named, NOW, CHAINS)) == "wrong_chain"


@pytest.mark.parametrize("text", ["0x", "0x00", "0x" + "00" * 65, "0x" + "11" * 64 + "63"])
def test_what_is_no_signature_is_malformed(text: str) -> None:
    intent = an_intent()
    outcome = check_authorisation(intent, replace(given(intent, b""), signature=text), NOW, CHAINS)
    assert code_of(outcome) == "malformed_signature"


def test_reading_a_signature_keeps_what_it_is() -> None:
    assert read_signature("0x" + "11" * 64 + "1b") == bytes.fromhex("11" * 64 + "1b")
    assert read_signature("0x" + "11" * 64 + "00") == bytes.fromhex("11" * 64 + "1b")
    assert read_signature("0x" + "11" * 64 + "01") == bytes.fromhex("11" * 64 + "1c")
    assert read_signature("0x1111") is None


def test_only_the_owner_finds_an_intent() -> None:
    intent = an_intent()
    foreign = given(intent, signed(intent), user_id=UUID(int=9))
    assert code_of(check_authorisation(intent, foreign, NOW, CHAINS)) == "not_found"
    assert code_of(check_authorisation(None, given(intent, b""), NOW, CHAINS)) == "not_found"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.CANCELLED, "intent_cancelled"),
        (Status.EXPIRED, "order_expired"),
        (Status.FAILED, "intent_failed"),
        (Status.COMPLETED, "already_authorised"),
        (Status.ARMED, "already_authorised"),
        (Status.DUE, "already_authorised"),
        (Status.DELAYED, "already_authorised"),
        (Status.AWAITING_FUNDS, "already_authorised"),
        (Status.AWAITING_APPROVAL, "already_authorised"),
    ],
)
def test_an_intent_is_authorised_once_and_in_time(status: Status, code: str) -> None:
    intent = an_intent(status=status)
    assert code_of(check_authorisation(intent, given(intent, signed(intent)), NOW, CHAINS)) == code


def test_an_order_that_has_expired_is_not_armed() -> None:
    intent = an_intent()
    late = NOW + timedelta(days=1)
    assert (
        code_of(check_authorisation(intent, given(intent, signed(intent)), late, CHAINS)) == "order_expired"
    )


def test_the_native_coin_is_authorised_by_its_transaction() -> None:
    intent = an_intent(CRO)
    assert (
        code_of(check_authorisation(intent, given(intent, signed(intent)), NOW, CHAINS)) == "funding_required"
    )
