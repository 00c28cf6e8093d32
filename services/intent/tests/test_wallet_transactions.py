"""Transactions that a payer is offered: the right call, the right contract, the right value."""

from datetime import timedelta
from typing import Any

import pytest

from snowrail_chain.abi import (
    approve_calldata,
    cancel_calldata,
    deposit_calldata,
    fund_calldata,
    return_expired_calldata,
)
from snowrail_events.parts import UnsignedTransaction
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.next_steps import approval_of, funding_of, next_step, way_back
from snowrail_intent.domain.orders import order_terms
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.states import Status
from snowrail_intent.domain.wallet_transactions import Purpose, wallet_transactions

from .samples import CHAIN, CRO, NOW, USDC, a_signed_intent, an_intent

LATE = NOW + timedelta(days=2)


def hexed(data: bytes) -> str:
    return f"0x{data.hex()}"


def the_transactions(intent: Intent, purpose: Purpose, **options: Any) -> list[UnsignedTransaction]:
    values: dict[str, Any] = {"amount": None, "allowance": 0, "now": NOW, **options}
    found = wallet_transactions(intent, purpose, **values)
    assert not isinstance(found, Refusal), found
    for item in found:
        UnsignedTransaction.model_validate(item.model_dump())  # built without validation, yet valid
        assert item.chain_id == 31337
    return found


def code_of(intent: Intent, purpose: Purpose, **options: Any) -> str:
    values: dict[str, Any] = {"amount": None, "allowance": 0, "now": NOW, **options}
    found = wallet_transactions(intent, purpose, **values)
    assert isinstance(found, Refusal)
    return found.code


def test_the_native_coin_is_funded_with_its_value() -> None:
    intent = an_intent(CRO)
    (fund,) = the_transactions(intent, Purpose.FUND)
    assert fund == funding_of(intent)
    assert (fund.to, fund.data, fund.value) == (CHAIN.escrow, hexed(fund_calldata(intent.order)), 1_000)
    assert fund.purpose == "fund"
    (part,) = the_transactions(intent, Purpose.DEPOSIT, amount=400)
    assert (part.data, part.value, part.purpose) == (hexed(fund_calldata(intent.order)), 400, "deposit")
    (rest,) = the_transactions(an_intent(CRO, deposit=400), Purpose.FUND)
    assert rest.value == 600


def test_a_token_is_approved_where_needed_and_deposited() -> None:
    intent = an_intent(USDC)
    approve, deposit = the_transactions(intent, Purpose.DEPOSIT, amount=600, allowance=100)
    assert (approve.to, approve.data) == (USDC.address, hexed(approve_calldata(CHAIN.escrow, 700)))
    assert (deposit.to, deposit.value) == (CHAIN.escrow, 0)
    assert deposit.data == hexed(deposit_calldata(intent.order, 600))
    assert len(the_transactions(intent, Purpose.FUND, allowance=1_000)) == 1


def test_a_deposit_never_exceeds_what_the_order_takes() -> None:
    intent = an_intent(CRO, deposit=400)
    for amount in (0, 601):
        assert code_of(intent, Purpose.DEPOSIT, amount=amount) == "deposit_out_of_range"
    assert code_of(an_intent(CRO, deposit=1_000), Purpose.FUND) == "already_funded"
    assert code_of(an_intent(CRO, status=Status.CANCELLED), Purpose.FUND) == "intent_closed"
    assert code_of(intent, Purpose.DEPOSIT, now=LATE) == "intent_closed"


def test_cancelling_is_the_payers_while_there_is_something_to_cancel() -> None:
    intent = a_signed_intent(status=Status.DUE)
    (cancel,) = the_transactions(intent, Purpose.CANCEL)
    assert (cancel.to, cancel.data) == (CHAIN.escrow, hexed(cancel_calldata(intent.order)))
    assert code_of(a_signed_intent(chain_cancelled=True), Purpose.CANCEL) == "already_cancelled"
    stuck = a_signed_intent(chain_cancelled=True, deposit=5)
    assert len(the_transactions(stuck, Purpose.CANCEL)) == 1
    assert code_of(a_signed_intent(status=Status.COMPLETED), Purpose.CANCEL) == "already_executed"


def test_an_expired_deposit_can_be_returned() -> None:
    intent = an_intent(CRO, deposit=1_000)
    (back,) = the_transactions(intent, Purpose.RETURN_EXPIRED, now=LATE)
    assert (back.to, back.data) == (CHAIN.escrow, hexed(return_expired_calldata(intent.order)))
    assert code_of(intent, Purpose.RETURN_EXPIRED) == "not_expired"
    assert code_of(an_intent(CRO), Purpose.RETURN_EXPIRED, now=LATE) == "nothing_to_return"


def test_the_way_back_is_offered_only_where_one_is_needed() -> None:
    assert way_back(an_intent(), NOW) is None
    for needs_it in (
        a_signed_intent(),
        an_intent(CRO, deposit=1),
        a_signed_intent(chain_cancelled=True, deposit=1),
    ):
        offered = way_back(needs_it, NOW)
        assert offered is not None
        assert offered.purpose == "cancel"
    assert way_back(a_signed_intent(chain_cancelled=True), NOW) is None
    assert way_back(a_signed_intent(), LATE) is None
    returned = way_back(an_intent(CRO, deposit=1), LATE)
    assert returned is not None
    assert returned.purpose == "return_expired"


@pytest.mark.parametrize("status", list(Status))
def test_the_next_step_follows_from_the_state(status: Status) -> None:
    intent = a_signed_intent(status=status, approval_amount=1_000)
    step = next_step(intent, NOW)
    purpose = {
        Status.AWAITING_AUTHORISATION: "approve",
        Status.AWAITING_APPROVAL: "approve",
        Status.CANCELLED: "cancel",
        Status.EXPIRED: "cancel",
        Status.FAILED: "cancel",
    }.get(status)
    assert (step.purpose if step else None) == purpose


def test_an_approval_is_asked_for_until_it_is_there() -> None:
    approval = approval_of(an_intent(USDC))
    assert approval is not None
    assert approval.data == hexed(approve_calldata(CHAIN.escrow, 1_000))
    assert approval_of(a_signed_intent(approval_amount=0)) is None
    assert approval_of(an_intent(CRO)) is None
    assert funding_of(an_intent(USDC)) is None


def test_the_terms_that_events_carry_are_the_orders() -> None:
    order = an_intent().order
    terms = order_terms(order)
    assert type(terms).model_validate(terms.model_dump(mode="json")) == terms
    assert terms.salt == hexed(order.salt)
    assert terms.max_gas_price == order.max_gas_price
