"""Items: every state with every event, and every state with every kind of evidence."""

from itertools import product

import pytest
from eth_hash.auto import keccak

from snowrail_chain.lane import IllegalTransition
from snowrail_settlement.domain.item import (
    EXECUTED_ELSEWHERE,
    EXECUTION_LOST,
    NO_EVENT,
    NONCE_TAKEN,
    REVERTED,
    Basis,
    Evidence,
    Execution,
    ItemEvent,
    ItemState,
    OwnTransaction,
    Step,
    after_item_event,
    steps_by_evidence,
)

# One line per state; one column per event in the order of `ItemEvent`; `-` is illegal.
#          assigned  refused submitted  seen      executed  failed  lost       lost_unsent  cannot_tell
TABLE = """
created    assigned  failed  -          -         executed  -       -          -            -
assigned   -         -       submitted  included  executed  failed  -          -            unknown
submitted  -         -       -          included  executed  failed  -          -            unknown
included   -         -       -          -         executed  -       submitted  -            -
executed   -         -       -          -         -         -       submitted  failed       -
failed     -         -       -          -         executed  -       submitted  -            -
unknown    -         -       -          included  executed  failed  -          -            -
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
PAIRS = [
    (ItemState(row[0]), event, None if cell == "-" else ItemState(cell))
    for row in ROWS
    for event, cell in zip(ItemEvent, row[1:], strict=True)
]

OURS, OTHER, ELSEWHERE = Basis("0xa", "b1"), Basis("0xa", "b2"), Basis("0xf", "b1")


def test_the_table_names_every_state() -> None:
    assert [row[0] for row in ROWS] == list(ItemState)


@pytest.mark.parametrize(("state", "event", "following"), PAIRS)
def test_every_state_with_every_event(
    state: ItemState, event: ItemEvent, following: ItemState | None
) -> None:
    if following is None:
        with pytest.raises(IllegalTransition, match=f"{event} cannot happen while {state}"):
            after_item_event(state, event)
    else:
        assert after_item_event(state, event) is following


def execution(basis: Basis = OURS, is_final: bool = True) -> Execution:
    """An execution of the item's occurrence."""
    return Execution(basis, block_number=7, log_index=3, is_final=is_final, amount=100, fee=1)


def own(
    basis: Basis = OURS, *, ours: bool = True, succeeded: bool = True, failure: bytes | None = None
) -> OwnTransaction:
    """The final transaction at the item's nonce."""
    return OwnTransaction(basis, ours, succeeded, failure)


def occurrence_mismatch(following: int, given: int) -> bytes:
    """Revert data of the escrow."""
    selector = keccak(b"OccurrenceMismatch(uint32,uint32)")[:4]
    return selector + following.to_bytes(32, "big") + given.to_bytes(32, "big")


def events(steps: list[Step]) -> list[str]:
    """Names of the events of steps."""
    return [step.event.value for step in steps]


SENT = [ItemState.ASSIGNED, ItemState.SUBMITTED, ItemState.UNKNOWN]


@pytest.mark.parametrize("state", SENT)
def test_its_own_event_decides_an_item(state: ItemState) -> None:
    seen = Evidence(execution(is_final=False), None)
    final = Evidence(execution(), own())
    assert events(steps_by_evidence(state, None, True, seen)) == ["seen_executed"]
    assert events(steps_by_evidence(state, None, True, final)) == ["executed"]
    assert steps_by_evidence(state, None, True, Evidence(None, None)) == []


@pytest.mark.parametrize("state", SENT)
@pytest.mark.parametrize(
    ("ending", "refusal"),
    [
        (own(ours=False), NONCE_TAKEN),
        (own(succeeded=False), REVERTED),
    ],
)
def test_without_its_event_a_final_end_of_the_nonce_is_a_retryable_failure(
    state: ItemState, ending: OwnTransaction, refusal: object
) -> None:
    (step,) = steps_by_evidence(state, None, True, Evidence(None, ending))
    assert (step.event, step.refusal, step.basis) == (ItemEvent.FAILED, refusal, OURS)


def test_its_own_failure_event_is_a_failure_with_its_reason() -> None:
    data = occurrence_mismatch(1, 4)
    (step,) = steps_by_evidence(ItemState.SUBMITTED, None, True, Evidence(None, own(failure=data)))
    assert step.event is ItemEvent.FAILED
    assert step.refusal is not None
    assert (step.refusal.code, step.refusal.retryable) == ("occurrence_ahead", True)


def test_executed_decides_when_one_transaction_has_both_events() -> None:
    both = Evidence(execution(), own(failure=occurrence_mismatch(1, 0)))
    assert events(steps_by_evidence(ItemState.SUBMITTED, None, True, both)) == ["executed"]


def test_being_executed_elsewhere_is_no_failure_but_awaits_its_event() -> None:
    refused = own(failure=occurrence_mismatch(1, 0))
    (step,) = steps_by_evidence(ItemState.SUBMITTED, None, True, Evidence(None, refused))
    assert (step.event, step.refusal) == (ItemEvent.CANNOT_TELL, EXECUTED_ELSEWHERE)
    assert steps_by_evidence(ItemState.UNKNOWN, None, True, Evidence(None, refused)) == []
    seen = Evidence(execution(ELSEWHERE, is_final=False), refused)
    assert events(steps_by_evidence(ItemState.UNKNOWN, None, True, seen)) == ["seen_executed"]
    found = Evidence(execution(ELSEWHERE), refused)
    assert events(steps_by_evidence(ItemState.UNKNOWN, None, True, found)) == ["executed"]


def test_a_final_transaction_without_any_event_decides_nothing() -> None:
    (step,) = steps_by_evidence(ItemState.SUBMITTED, None, True, Evidence(None, own()))
    assert (step.event, step.refusal) == (ItemEvent.CANNOT_TELL, NO_EVENT)


def test_a_proven_failure_is_not_undone_by_an_execution_that_is_not_final() -> None:
    evidence = Evidence(execution(ELSEWHERE, is_final=False), own(succeeded=False))
    assert steps_by_evidence(ItemState.FAILED, OURS, True, evidence) == []
    against = Evidence(execution(ELSEWHERE), own(succeeded=False))
    assert events(steps_by_evidence(ItemState.FAILED, OURS, True, against)) == ["evidence_lost", "executed"]


@pytest.mark.parametrize("state", [ItemState.INCLUDED, ItemState.EXECUTED])
def test_what_leaves_the_chain_is_open_again(state: ItemState) -> None:
    assert events(steps_by_evidence(state, OURS, True, Evidence(None, None))) == ["evidence_lost"]
    again = Evidence(execution(OTHER, is_final=False), None)
    assert events(steps_by_evidence(state, OURS, True, again)) == ["evidence_lost", "seen_executed"]
    final = Evidence(execution(OTHER), own(OTHER))
    assert events(steps_by_evidence(state, OURS, True, final)) == ["evidence_lost", "executed"]
    failed = Evidence(None, own(OTHER, succeeded=False))
    assert events(steps_by_evidence(state, OURS, True, failed)) == ["evidence_lost", "failed"]
    doubt = Evidence(None, own(OTHER))
    assert events(steps_by_evidence(state, OURS, True, doubt)) == ["evidence_lost", "cannot_tell"]


def test_a_failure_that_leaves_the_chain_is_open_again() -> None:
    assert events(steps_by_evidence(ItemState.FAILED, OURS, True, Evidence(None, None))) == ["evidence_lost"]
    assert steps_by_evidence(ItemState.FAILED, OURS, True, Evidence(None, own(succeeded=False))) == []


def test_what_is_included_becomes_final_in_the_same_block() -> None:
    assert events(steps_by_evidence(ItemState.INCLUDED, OURS, True, Evidence(execution(), own()))) == [
        "executed"
    ]
    seen = Evidence(execution(is_final=False), None)
    assert steps_by_evidence(ItemState.INCLUDED, OURS, True, seen) == []
    assert steps_by_evidence(ItemState.EXECUTED, OURS, True, Evidence(execution(), own())) == []


def test_an_item_that_was_never_sent_is_decided_by_a_final_execution_alone() -> None:
    seen = Evidence(execution(ELSEWHERE, is_final=False), None)
    final = Evidence(execution(ELSEWHERE), None)
    for state in (ItemState.CREATED, ItemState.FAILED):
        assert steps_by_evidence(state, None, False, seen) == []
        assert events(steps_by_evidence(state, None, False, final)) == ["executed"]
    (step,) = steps_by_evidence(ItemState.EXECUTED, ELSEWHERE, False, Evidence(None, None))
    assert (step.event, step.refusal) == (ItemEvent.EVIDENCE_LOST_UNSENT, EXECUTION_LOST)


EXECUTIONS = [
    None,
    *(execution(basis, final) for basis in (OURS, OTHER, ELSEWHERE) for final in (True, False)),
]
OWNS = [
    None,
    *(
        own(basis, ours=ours, succeeded=succeeded, failure=failure)
        for basis in (OURS, OTHER, ELSEWHERE)
        for ours in (True, False)
        for succeeded in (True, False)
        for failure in (None, b"", occurrence_mismatch(1, 0), occurrence_mismatch(1, 4))
    ),
]
STANDS = [
    *((state, None, False) for state in (ItemState.CREATED, ItemState.FAILED)),
    (ItemState.EXECUTED, ELSEWHERE, False),
    *((state, None, True) for state in SENT),
    *((state, OURS, True) for state in (ItemState.INCLUDED, ItemState.EXECUTED, ItemState.FAILED)),
]


def test_every_stand_with_every_evidence_ends_where_the_evidence_says() -> None:
    """No evidence is illegal in any state, and looking at it again changes nothing more."""
    for (stand, basis_before, was_sent), found, end in product(STANDS, EXECUTIONS, OWNS):
        evidence = Evidence(found, end if was_sent else None)
        state, basis = stand, basis_before
        for step in steps_by_evidence(state, basis, was_sent, evidence):
            state = after_item_event(state, step.event)
            lost = step.event in (ItemEvent.EVIDENCE_LOST, ItemEvent.EVIDENCE_LOST_UNSENT)
            basis = None if lost else step.basis
        assert steps_by_evidence(state, basis, was_sent, evidence) == []
        if found is not None and found.is_final:
            assert (state, basis) == (ItemState.EXECUTED, found.basis)
        elif evidence.own is not None and (not evidence.own.is_ours or not evidence.own.succeeded):
            assert (state, basis) == (ItemState.FAILED, evidence.own.basis)
        else:
            assert state is not ItemState.EXECUTED
