"""What the escrow's events add up to, in whatever order and however often they are told."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_intent.domain.facts import EscrowFact, FactState, OrderOnChain, fold, judge_facts
from snowrail_intent.domain.states import IntentEvent, Status

from .samples import CRO, PAYER, STRANGER, USDC, a_signed_intent, an_intent

_blocks = itertools.count(1)


def a_fact(name: str, amount: int = 1_000, **changes: Any) -> EscrowFact:
    values: dict[str, Any] = {
        "order_hash": bytes(32),
        "name": name,
        "amount": amount,
        "fee": 0,
        "sender": PAYER.address,
        "tx_hash": bytes(32),
        "block_number": next(_blocks),
        "log_index": 0,
        "state": FactState.FINAL,
    }
    return EscrowFact(**{**values, **changes})


def folded(*facts: EscrowFact, token: str = CRO.address) -> OrderOnChain:
    return fold(facts, PAYER.address, token)


def test_a_final_deposit_of_the_payer_is_held() -> None:
    seen = folded(a_fact("funded", 400), a_fact("funded", 600))
    assert seen == OrderOnChain(deposit=1_000, pending_deposit=1_000, by_payer=True, funded=1_000)


def test_what_is_included_is_pending_and_what_is_orphaned_never_was() -> None:
    assert folded(a_fact("funded", state=FactState.INCLUDED)) == OrderOnChain(pending_deposit=1_000)
    assert folded(a_fact("funded", state=FactState.ORPHANED)) == OrderOnChain()


def test_a_deposit_sent_by_another_is_not_the_payers() -> None:
    assert not folded(a_fact("funded", sender=STRANGER.address)).by_payer


def test_money_given_back_leaves_the_deposit() -> None:
    cancelled = folded(a_fact("funded"), a_fact("cancelled", 1_000))
    assert cancelled == OrderOnChain(by_payer=True, funded=1_000, cancelled=True, refunded=1_000)
    assert folded(a_fact("funded"), a_fact("returned", 1_000)).refunded == 1_000
    failed_refund = folded(a_fact("funded"), a_fact("cancelled", 0))
    assert (failed_refund.deposit, failed_refund.cancelled) == (1_000, True)


def test_an_execution_spends_the_deposit_as_the_escrow_does() -> None:
    assert folded(a_fact("funded", 1_050), a_fact("executed", 1_000, fee=50)).deposit == 0
    covered = folded(a_fact("funded", 1_000), a_fact("executed", 1_000), token=USDC.address)
    assert (covered.deposit, covered.executed) == (0, 1)
    from_wallet = folded(a_fact("funded", 400), a_fact("executed", 1_000), token=USDC.address)
    assert (from_wallet.deposit, from_wallet.executed) == (400, 1)
    assert folded(a_fact("funded"), a_fact("execution_failed", 0)).deposit == 1_000


def test_an_execution_counts_as_soon_as_it_is_seen() -> None:
    assert folded(a_fact("executed", state=FactState.INCLUDED)).executed == 1
    assert folded(a_fact("executed", state=FactState.INCLUDED)).deposit == 0


@given(st.permutations([("funded", 700), ("funded", 300), ("executed", 1_000), ("cancelled", 0)]))
def test_the_order_of_news_does_not_matter(told: list[tuple[str, int]]) -> None:
    place = {("funded", 700): 1, ("funded", 300): 2, ("executed", 1_000): 3, ("cancelled", 0): 4}
    facts = [a_fact(name, amount, block_number=place[name, amount]) for name, amount in told]
    assert folded(*facts) == OrderOnChain(
        by_payer=True, funded=1_000, executed=1, finally_executed=1, cancelled=True
    )


@pytest.mark.parametrize(
    ("seen", "events", "reason"),
    [
        (OrderOnChain(), (), None),
        (OrderOnChain(pending_deposit=1_000), (), "funding_confirming"),
        (OrderOnChain(deposit=400, pending_deposit=400), (), "funding_partial"),
        (OrderOnChain(deposit=400, pending_deposit=1_000), (), "funding_confirming"),
        (OrderOnChain(deposit=1_000, pending_deposit=1_000), (IntentEvent.AUTHORISED,), None),
        (OrderOnChain(cancelled=True), (IntentEvent.CANCELLED_ON_CHAIN,), "cancelled_on_chain"),
    ],
)
def test_an_intent_that_awaits_its_funding(
    seen: OrderOnChain, events: tuple[IntentEvent, ...], reason: str | None
) -> None:
    verdict = judge_facts(an_intent(CRO), seen)
    assert (verdict.events, verdict.reason) == (events, reason)


def test_a_token_deposit_authorises_only_when_the_payer_sent_it() -> None:
    covered = OrderOnChain(deposit=1_000, pending_deposit=1_000)
    assert judge_facts(an_intent(USDC), covered).events == ()
    by_payer = OrderOnChain(deposit=1_000, pending_deposit=1_000, by_payer=True)
    assert judge_facts(an_intent(USDC), by_payer).events == (IntentEvent.AUTHORISED,)


@pytest.mark.parametrize(
    "status", [Status.ARMED, Status.DELAYED, Status.AWAITING_FUNDS, Status.AWAITING_APPROVAL]
)
def test_a_deposit_that_leaves_the_chain_takes_its_authorisation_along(status: Status) -> None:
    funded = an_intent(CRO, status=status, deposit=1_000)
    verdict = judge_facts(funded, OrderOnChain())
    assert (verdict.events, verdict.reason) == ((IntentEvent.FUNDING_ORPHANED,), "funding_orphaned")
    assert funded.after(funded.created_at, *verdict.events).status is Status.AWAITING_AUTHORISATION
    assert judge_facts(funded, OrderOnChain(deposit=1_000, funded=1_000)).events == ()
    assert judge_facts(a_signed_intent(status=status, deposit=1_000), OrderOnChain()).events == ()


@pytest.mark.parametrize(
    ("status", "events", "reason"),
    [
        (Status.ARMED, (IntentEvent.CANCELLED_ON_CHAIN,), "cancelled_on_chain"),
        (Status.CANCELLED, (IntentEvent.CANCELLED_ON_CHAIN,), "cancelled_on_chain"),
        (Status.DUE, (), "cancellation_seen"),
        (Status.COMPLETED, (IntentEvent.CANCELLED_ON_CHAIN,), "why"),
        (Status.FAILED, (IntentEvent.CANCELLED_ON_CHAIN,), "why"),
        (Status.EXPIRED, (IntentEvent.CANCELLED_ON_CHAIN,), "why"),
    ],
)
def test_a_final_cancellation(status: Status, events: tuple[IntentEvent, ...], reason: str) -> None:
    intent = a_signed_intent(status=status, reason="why")
    verdict = judge_facts(intent, OrderOnChain(cancelled=True))
    assert (verdict.events, verdict.reason) == (events, reason)
    following = intent.after(intent.created_at, *verdict.events, chain_cancelled=True)
    assert judge_facts(following, OrderOnChain(cancelled=True)).events == ()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (Status.CANCELLED, "cancellation_orphaned"),
        (Status.DUE, None),
        (Status.COMPLETED, "why"),
        (Status.FAILED, "why"),
        (Status.EXPIRED, "why"),
    ],
)
def test_a_cancellation_that_leaves_the_chain_is_taken_back_but_nothing_is_paid_for_it(
    status: Status, reason: str | None
) -> None:
    intent = a_signed_intent(status=status, reason="why", chain_cancelled=True)
    verdict = judge_facts(intent, OrderOnChain())
    assert (verdict.events, verdict.reason) == ((IntentEvent.CANCELLATION_ORPHANED,), reason)
    assert intent.after(intent.created_at, *verdict.events).status is status


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.EXPIRED, Status.FAILED])
def test_a_deposit_for_an_intent_that_has_ended_is_to_be_returned(status: Status) -> None:
    verdict = judge_facts(an_intent(CRO, status=status), OrderOnChain(deposit=1_000))
    assert (verdict.events, verdict.reason) == ((), "deposit_to_return")


def test_what_an_execution_leaves_behind_says_nothing_new() -> None:
    for status in (Status.DUE, Status.COMPLETED):
        verdict = judge_facts(an_intent(CRO, status=status, deposit=1_000), OrderOnChain(executed=1))
        assert (verdict.events, verdict.reason) == ((), None)
