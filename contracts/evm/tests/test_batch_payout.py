"""What batch payouts pay, every term they enforce, and the payer's way out."""

from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from snowrail_chain.abi import (
    BatchCancelled,
    BatchFunded,
    BatchReturned,
    BatchState,
    RowPaid,
    cancel_batch_calldata,
    explain_revert,
    fund_batch_calldata,
    return_unspent_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.manifest import InvalidManifest, PayoutRow, PayoutTree, TokenTotal

from .batches import Batch, Payouts, rows_of
from .chains import START_TIME, address_of
from .test_hostile import REVERT, configure
from .world import RICH, World, call, person

ALICE = person("alice")
MALLORY = person("mallory")
DEADLINE = START_TIME + 600
PAY_ROW = keccak(b"payRow(bytes32,uint32,(address,address,uint256))")[:4]


@pytest.fixture
def payouts(world: World) -> Payouts:
    """A fresh contract."""
    return Payouts(world)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("token_name", ["native", "usdc", "usdt"])
def test_every_row_is_paid_once(payouts: Payouts, token_name: str, count: int) -> None:
    world = payouts.world
    token = NATIVE_TOKEN if token_name == "native" else getattr(world, token_name)
    batch = Batch(ALICE, rows_of(token, count))
    outcome = payouts.fund(batch)
    assert payouts.events(outcome) == [BatchFunded(batch.hash, ALICE.address, batch.manifest.root, count)]
    outcome = payouts.pay(batch, 0, count)
    assert payouts.events(outcome) == [
        RowPaid(batch.hash, index, row.recipient, token, row.amount, 0)
        for index, row in enumerate(batch.rows)
    ]
    assert [world.token_balance(token, row.recipient) for row in batch.rows] == [
        row.amount for row in batch.rows
    ]
    assert world.token_balance(token, payouts.address) == 0
    assert payouts.state(batch) == BatchState(count, funded=True, cancelled=False)
    assert payouts.pay_error(batch, 0, count) == "NothingToPay"
    assert payouts.pay_error(batch, 0, 1) == "NothingToPay"


@given(count=st.integers(1, 40), data=st.data())
@settings(max_examples=40)
def test_any_aligned_run_is_paid_and_the_bits_are_exact(
    world: World, count: int, data: st.DataObject
) -> None:
    payouts = Payouts(world)
    batch = Batch(ALICE, rows_of(NATIVE_TOKEN, count), salt=data.draw(st.binary(min_size=32, max_size=32)))
    payouts.fund(batch)
    paid: set[int] = set()
    for _ in range(3):
        height = data.draw(st.integers(0, 5))
        first_index = data.draw(st.integers(0, (count - 1) >> height)) << height
        run = min(1 << height, count - first_index)
        new = set(range(first_index, first_index + run)) - paid
        if not new:
            assert payouts.pay_error(batch, first_index, run) == "NothingToPay"
            continue
        assert payouts.paid(payouts.pay(batch, first_index, run)) == sorted(new)
        paid |= new
        assert payouts.paid_indexes(batch) == paid
        assert payouts.state(batch).paid == len(paid)
        left = sum(row.amount for index, row in enumerate(batch.rows) if index not in paid)
        assert payouts.remainder(batch, NATIVE_TOKEN) == (left, 0)
        assert world.chain.balance(payouts.address) == left


def test_bits_cross_the_word_in_the_right_place(payouts: Payouts) -> None:
    batch = Batch(ALICE, rows_of(NATIVE_TOKEN, 520, amount=1))
    payouts.fund(batch)
    for first_index, count in ((255, 1), (256, 2), (512, 8), (0, 1)):
        assert payouts.pay(batch, first_index, count).success
    assert payouts.paid_indexes(batch) == {0, 255, 256, 257, *range(512, 520)}


def test_native_totals_are_funded_by_the_payer_to_the_wei(payouts: Payouts) -> None:
    world = payouts.world
    batch = Batch(ALICE, [*rows_of(NATIVE_TOKEN, 2), *rows_of(world.usdc, 1)], {NATIVE_TOKEN: 7})
    payouts.provide(batch)
    data = fund_batch_calldata(batch.manifest)
    for value in (0, batch.value() - 1, batch.value() + 1):
        assert payouts.refusal(ALICE.address, data, value=value) == "WrongValue"
    signed = fund_batch_calldata(batch.manifest, signature=payouts.sign(ALICE, batch))
    world.chain.set_balance(MALLORY.address, RICH)
    assert payouts.refusal(MALLORY.address, signed, value=batch.value()) == "NotPayer"
    world.must(ALICE.address, payouts.address, data, value=batch.value())
    assert world.chain.balance(payouts.address) == 201 + 7


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"valid_after": START_TIME + 1}, "BatchNotYetValid"),
        ({"max_gas_price": 9}, "GasPriceAboveLimit"),
    ],
)
def test_a_term_that_does_not_hold_stops_the_run(payouts: Payouts, terms: dict[str, Any], error: str) -> None:
    batch = Batch(ALICE, rows_of(NATIVE_TOKEN, 2), **terms)
    assert payouts.pay_error(batch, 0, 2) == "BatchNotFunded"
    payouts.fund(batch)
    assert payouts.pay_error(batch, 0, 2, gas_price=10) == error
    payouts.world.chain.set_time(START_TIME + 1)
    assert payouts.pay(batch, 0, 2, gas_price=9).success


def test_nothing_is_taken_or_paid_outside_the_window(payouts: Payouts) -> None:
    world = payouts.world
    early = Batch(ALICE, rows_of(world.usdc, 2), valid_after=START_TIME + 10)
    payouts.provide(early)
    signed = fund_batch_calldata(early.manifest, signature=payouts.sign(ALICE, early))
    assert payouts.refusal(MALLORY.address, signed) == "BatchNotYetValid"
    world.must(ALICE.address, payouts.address, fund_batch_calldata(early.manifest))
    late = Batch(ALICE, rows_of(NATIVE_TOKEN, 2), valid_until=START_TIME + 5)
    payouts.fund(late)
    world.chain.set_time(START_TIME + 6)
    assert payouts.pay_error(late, 0, 2) == "BatchExpired"
    other = Batch(ALICE, rows_of(NATIVE_TOKEN, 1), valid_until=START_TIME + 5)
    data = fund_batch_calldata(other.manifest)
    assert payouts.refusal(ALICE.address, data, value=other.value()) == "BatchExpired"


def test_rows_beyond_the_signed_totals_fail_alone(payouts: Payouts) -> None:
    world = payouts.world
    rows = [*rows_of(NATIVE_TOKEN, 2), *rows_of(world.usdc, 1), PayoutRow(NATIVE_TOKEN, NATIVE_TOKEN, 5)]
    batch = Batch(ALICE, rows, totals=(TokenTotal(NATIVE_TOKEN, 150, 0),))
    payouts.fund(batch)
    outcome = payouts.pay(batch, 0, 4)
    assert payouts.paid(outcome) == [0]
    assert payouts.failed(outcome) == {1: "InsufficientDeposit", 2: "InsufficientDeposit", 3: "InvalidRow"}
    assert payouts.remainder(batch, NATIVE_TOKEN) == (50, 0)


def test_cancelling_returns_every_token_and_forbids_the_rest(payouts: Payouts) -> None:
    world = payouts.world
    rows = [*rows_of(NATIVE_TOKEN, 4), *rows_of(world.usdc, 4)]
    batch = Batch(ALICE, rows, {world.usdc: 11, NATIVE_TOKEN: 3})
    payouts.fund(batch)
    payouts.pay(batch, 0, 4)
    assert payouts.refusal(MALLORY.address, cancel_batch_calldata(batch.manifest)) == "NotPayer"
    before = world.chain.balance(ALICE.address)
    events = payouts.events(payouts.cancel(batch))
    assert events == [
        BatchCancelled(batch.hash, ALICE.address),
        BatchReturned(batch.hash, ALICE.address, NATIVE_TOKEN, 3),
        BatchReturned(batch.hash, ALICE.address, world.usdc, 417),
    ]
    assert world.chain.balance(ALICE.address) == before + 3
    assert world.token_balance(world.usdc, ALICE.address) == 417
    assert payouts.pay_error(batch, 4, 4) == "BatchIsCancelled"
    assert payouts.refusal(ALICE.address, cancel_batch_calldata(batch.manifest)) == "NothingToMove"
    assert payouts.refusal(ALICE.address, fund_batch_calldata(batch.manifest)) == "BatchIsCancelled"


def test_a_batch_cancelled_before_it_is_funded_can_never_be_funded(payouts: Payouts) -> None:
    batch = Batch(ALICE, rows_of(payouts.world.usdc, 1))
    payouts.provide(batch)
    payouts.cancel(batch)
    signed = fund_batch_calldata(batch.manifest, signature=payouts.sign(ALICE, batch))
    assert payouts.refusal(MALLORY.address, signed) == "BatchIsCancelled"


def test_what_is_left_goes_back_when_all_is_paid_or_time_is_up(payouts: Payouts) -> None:
    world = payouts.world
    done = Batch(ALICE, rows_of(world.usdc, 2), {world.usdc: 40})
    payouts.fund(done)
    payouts.pay(done, 0, 1)
    data = return_unspent_calldata(done.manifest)
    assert payouts.refusal(MALLORY.address, data) == "BatchStillOpen"
    payouts.pay(done, 1, 1)
    outcome = world.must(MALLORY.address, payouts.address, data)
    assert payouts.events(outcome) == [BatchReturned(done.hash, ALICE.address, world.usdc, 40)]
    assert payouts.refusal(MALLORY.address, data) == "NothingToMove"
    late = Batch(ALICE, rows_of(world.usdc, 2), valid_until=START_TIME + 9)
    payouts.fund(late)
    payouts.pay(late, 0, 1)
    world.chain.set_time(START_TIME + 10)
    outcome = world.must(MALLORY.address, payouts.address, return_unspent_calldata(late.manifest))
    assert payouts.events(outcome) == [BatchReturned(late.hash, ALICE.address, world.usdc, 101)]


def test_fees_are_taken_on_success_and_never_above_the_batch_limit(payouts: Payouts) -> None:
    world = payouts.world
    hostile = world.deploy("HostileRecipient")
    rows = [PayoutRow(address_of("a"), NATIVE_TOKEN, 10_000), PayoutRow(hostile, NATIVE_TOKEN, 10_000)]
    rows += [
        PayoutRow(address_of("b"), NATIVE_TOKEN, 10_000),
        PayoutRow(address_of("c"), NATIVE_TOKEN, 10_000),
    ]
    batch = Batch(ALICE, rows, {NATIVE_TOKEN: 150})
    payouts.fund(batch)
    configure(world, hostile, REVERT)
    treasury = address_of("treasury")
    world.must(world.admin, payouts.address, call("setFee(address,uint256)", treasury, 100))
    fees = [event.fee for event in payouts.events(payouts.pay(batch, 0, 4)) if isinstance(event, RowPaid)]
    assert fees == [100, 50, 0]
    assert payouts.remainder(batch, NATIVE_TOKEN) == (10_000, 0)
    world.must(MALLORY.address, payouts.address, call("withdrawFees(address)", NATIVE_TOKEN))
    assert world.chain.balance(treasury) == 150
    payouts.cancel(batch)
    assert world.chain.balance(payouts.address) == 0


@pytest.mark.parametrize(
    ("term", "terms"),
    [
        ("rows", {"rows": 0}),
        ("rows", {"rows": 2**20 + 1}),
        ("validUntil", {"valid_until": START_TIME - 1}),
        ("totals", {"totals": ()}),
        ("amount", {"totals": (TokenTotal(NATIVE_TOKEN, 0, 0),)}),
        ("token", {"totals": (TokenTotal(NATIVE_TOKEN, 1, 0), TokenTotal(NATIVE_TOKEN, 1, 0))}),
        ("payer", {"payer": NATIVE_TOKEN}),
        ("salt", {"salt": b""}),
        ("root", {"root": b""}),
        ("maxFee", {"totals": (TokenTotal(NATIVE_TOKEN, 1, 2**128),)}),
        ("maxGasPrice", {"max_gas_price": -1}),
        ("validAfter", {"valid_after": -1}),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused_here_and_there(
    payouts: Payouts, term: str, terms: dict[str, object]
) -> None:
    batch = Batch(ALICE, rows_of(NATIVE_TOKEN, 2))
    with pytest.raises(InvalidManifest) as refusal:
        replace(batch.manifest, **terms)
    assert refusal.value.term == term
    if term in ("salt", "root", "maxFee", "maxGasPrice", "validAfter"):
        return  # the ABI has no room for these
    for name, value in terms.items():
        object.__setattr__(batch.manifest, name, value)
    sender = batch.manifest.payer
    payouts.world.chain.set_balance(sender, RICH)
    outcome = payouts.world.chain.send(sender, payouts.address, fund_batch_calldata(batch.manifest))
    assert not outcome.success
    reason = explain_revert(outcome.output)
    assert (reason.name, reason.arguments["term"]) == ("InvalidManifest", term)


def test_more_rows_than_one_call_carries_are_refused(payouts: Payouts) -> None:
    batch = Batch(ALICE, rows_of(NATIVE_TOKEN, 512, amount=1))
    with pytest.raises(ValueError, match="256"):
        batch.run(0, 512)
    row = encode(["address", "address", "uint256"], [NATIVE_TOKEN, NATIVE_TOKEN, 1])
    data = batch.run(0, 256)
    rows_at = 4 + int.from_bytes(data[4 + 64 : 4 + 96], "big")
    many = data[:rows_at] + (257).to_bytes(32, "big") + data[rows_at + 32 :] + row
    assert payouts.refusal(payouts.world.executor, many) == "TooManyItems"


@pytest.mark.parametrize(("first_index", "count"), [(0, 0), (1, 2), (-2, 2), (4, 2), (0, 3), (4, 4)])
def test_the_tree_proves_only_aligned_runs(first_index: int, count: int) -> None:
    tree = PayoutTree(rows_of(NATIVE_TOKEN, 5))
    with pytest.raises(ValueError, match="no run of 5 rows"):
        tree.proof(first_index, count)
