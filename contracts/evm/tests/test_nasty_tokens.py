"""Tokens that behave as badly as real ones do, against all three contracts: nobody else is harmed."""

from collections.abc import Callable

import pytest
from eth_hash.auto import keccak

from snowrail_chain.abi import (
    Executed,
    Execution,
    ExecutionFailed,
    RowFailed,
    TotalPermit,
    cancel_calldata,
    deposit_calldata,
    execute_calldata,
    fund_batch_calldata,
    fund_with_permit_calldata,
)
from snowrail_chain.manifest import PayoutRow

from .batches import Batch, Payouts
from .chains import START_TIME, address_of
from .mandates import LISTED, Mandates
from .test_hostile import REENTER, REVERT, configure
from .world import World, call, person

ALICE = person("alice")
MALLORY = person("mallory")
BOB = LISTED[0]
DEADLINE = START_TIME + 600
HONEST, RETURNS_FALSE, RETURNS_NOTHING, CLAIMS_SUCCESS, TAKES_FEE = range(5)
REVERTS_HUGE, BURNS_GAS, PAUSED, RETURNS_HUGE = range(5, 9)
REFUSED = [RETURNS_FALSE, CLAIMS_SUCCESS, TAKES_FEE, REVERTS_HUGE, BURNS_GAS, PAUSED]


def nasty(world: World, amount: int = 1_000_000) -> str:
    """A token of which Alice holds plenty and allows the escrow all of it."""
    token = world.deploy("NastyToken")
    world.mint(token, ALICE.address, amount)
    world.approve(token, ALICE.address, amount)
    return token


def behave(world: World, token: str, behaviour: int) -> None:
    """Choose how transfers behave."""
    world.must(world.admin, token, call("setBehaviour(uint8)", behaviour))


@pytest.mark.parametrize("behaviour", REFUSED)
def test_the_escrow_pays_fully_or_not_at_all(world: World, behaviour: int) -> None:
    token = nasty(world)
    from_wallet = world.native_order(ALICE.address, BOB, token=token)
    from_deposit = world.native_order(ALICE.address, BOB, token=token, salt=b"\1" * 32)
    good = world.native_order(ALICE.address, address_of("dave"), token=world.usdc)
    world.mint(world.usdc, ALICE.address, 1_000)
    world.approve(world.usdc, ALICE.address, 1_000)
    world.must(ALICE.address, world.escrow, deposit_calldata(from_deposit, 1_000))
    behave(world, token, behaviour)
    items = [
        Execution(from_wallet, 0, world.sign(ALICE, from_wallet)),
        Execution(from_deposit, 0, b""),
        Execution(good, 0, world.sign(ALICE, good)),
    ]
    events = world.events(world.execute_many(items))
    assert [type(event) for event in events] == [ExecutionFailed, ExecutionFailed, Executed]
    assert world.token_balance(token, BOB) == 0
    assert world.state(from_deposit).deposited == 1_000
    behave(world, token, HONEST)
    world.must(ALICE.address, world.escrow, cancel_calldata(from_deposit))
    assert world.token_balance(token, ALICE.address) == 1_000_000


@pytest.mark.parametrize("behaviour", [RETURNS_NOTHING, RETURNS_HUGE])
def test_an_odd_answer_of_a_token_that_paid_is_a_payment(world: World, behaviour: int) -> None:
    token = nasty(world)
    behave(world, token, behaviour)
    order = world.native_order(ALICE.address, BOB, token=token)
    assert world.execute(order, 0, world.sign(ALICE, order)).success
    assert world.token_balance(token, BOB) == order.amount
    payouts, mandates = Payouts(world), Mandates(world)
    batch = Batch(ALICE, [PayoutRow(BOB, token, 10)])
    payouts.fund(batch)
    assert payouts.paid(payouts.pay(batch, 0, 1)) == [0]
    world.approve(token, ALICE.address, 10, mandates.address)
    assert mandates.spend(mandates.mandate(ALICE.address, token), 10).success


@pytest.mark.parametrize("behaviour", REFUSED)
def test_a_batch_pays_the_other_tokens_and_the_payer_gets_out(world: World, behaviour: int) -> None:
    payouts = Payouts(world)
    token = nasty(world)
    rows = [PayoutRow(BOB, world.usdc if index % 2 else token, 100) for index in range(4)]
    batch = Batch(ALICE, rows)
    payouts.provide(batch)
    behave(world, token, behaviour)
    outcome = world.chain.send(ALICE.address, payouts.address, fund_batch_calldata(batch.manifest))
    assert not outcome.success
    behave(world, token, HONEST)
    world.must(ALICE.address, payouts.address, fund_batch_calldata(batch.manifest))
    behave(world, token, behaviour)
    outcome = payouts.pay(batch, 0, 4)
    assert payouts.paid(outcome) == [1, 3]
    assert set(payouts.failed(outcome)) == {0, 2}
    assert payouts.remainder(batch, token) == (200, 0)
    behave(world, token, HONEST)
    before = world.token_balance(token, ALICE.address)
    payouts.cancel(batch)
    assert world.token_balance(token, ALICE.address) == before + 200


@pytest.mark.parametrize("behaviour", REFUSED)
def test_a_mandate_counts_nothing_that_was_not_paid(world: World, behaviour: int) -> None:
    mandates = Mandates(world)
    token = nasty(world)
    world.approve(token, ALICE.address, 1_000, mandates.address)
    mandate = mandates.mandate(ALICE.address, token)
    behave(world, token, behaviour)
    assert not mandates.spend(mandate, 100).success
    assert mandates.state(mandate).spent == 0
    behave(world, token, HONEST)
    assert mandates.spend(mandate, 100).success


def test_a_blocked_recipient_fails_alone_and_a_blocked_payer_waits(world: World) -> None:
    payouts = Payouts(world)
    token = nasty(world)
    rows = [PayoutRow(address_of(f"payee {index}"), token, 10) for index in range(4)]
    batch = Batch(ALICE, rows)
    payouts.fund(batch)
    for account in (rows[1].recipient, ALICE.address):
        world.must(world.admin, token, call("setBlocked(address,bool)", account, True))
    outcome = payouts.pay(batch, 0, 4)
    assert payouts.paid(outcome) == [0, 2, 3]
    payouts.cancel(batch)
    assert payouts.remainder(batch, token) == (10, 0)
    world.must(world.admin, token, call("setBlocked(address,bool)", ALICE.address, False))
    payouts.cancel(batch)
    assert payouts.remainder(batch, token) == (0, 0)


def test_a_rebase_downwards_takes_from_nobody_but_holders_of_that_token(world: World) -> None:
    payouts = Payouts(world)
    token = nasty(world)
    batch = Batch(ALICE, [PayoutRow(BOB, token, 100), PayoutRow(BOB, world.usdc, 100)])
    payouts.fund(batch)
    world.must(world.admin, token, call("rebase(uint256)", 5_000))
    outcome = payouts.pay(batch, 0, 2)
    assert payouts.paid(outcome) == [1]
    assert set(payouts.failed(outcome)) == {0}
    world.must(world.admin, token, call("rebase(uint256)", 10_000))
    assert payouts.paid(payouts.pay(batch, 0, 1)) == [0]


@pytest.mark.parametrize("contract", ["escrow", "batch", "mandate"])
def test_a_recipient_that_is_told_can_neither_reenter_nor_hold_up_others(world: World, contract: str) -> None:
    token = world.deploy("HookToken")
    world.mint(token, ALICE.address, 10_000)
    hostile = world.deploy("HostileRecipient")
    world.must(world.admin, token, call("setHook(address,bool)", hostile, True))
    pay, again, target = _payment_to(world, contract, token, hostile)
    configure(world, hostile, REVERT)
    assert not pay()
    assert world.token_balance(token, hostile) == 0
    configure(world, hostile, REENTER, target, again)
    assert pay()
    assert not world.chain.read(hostile, call("reentered()"))[-1]
    assert world.token_balance(token, hostile) == 100


def _payment_to(
    world: World, contract: str, token: str, hostile: str
) -> tuple[Callable[[], bool], bytes, str]:
    """A payment of 100 to the hostile recipient, the call it makes on receipt, and whom it calls."""
    if contract == "escrow":
        world.approve(token, ALICE.address, 1_000)
        order = world.native_order(ALICE.address, hostile, token=token, amount=100)
        execution = Execution(order, 0, world.sign(ALICE, order))

        def execute() -> bool:
            return isinstance(world.events(world.execute_many([execution]))[0], Executed)

        return execute, execute_calldata(execution), world.escrow
    if contract == "batch":
        payouts = Payouts(world)
        batch = Batch(ALICE, [PayoutRow(hostile, token, 100)])
        payouts.fund(batch)
        return lambda: payouts.paid(payouts.pay(batch, 0, 1)) == [0], batch.run(0, 1), payouts.address
    mandates = Mandates(world)
    world.approve(token, ALICE.address, 1_000, mandates.address)
    terms = {"recipients": bytes(32), "any_recipient": True}
    mandate = mandates.mandate(
        ALICE.address, token, unlisted_per_payment=100, unlisted_per_period=250, **terms
    )
    return (
        lambda: mandates.spend(mandate, 100, recipient=hostile, proof=[]).success,
        call("withdraw(uint256)", 1),
        mandates.address,
    )


def test_a_swallowed_permit_is_no_consent_to_a_deposit(world: World) -> None:
    """A fallback that accepts any call must not turn a standing allowance into a stranger's deposit."""
    token = world.deploy("PhantomPermitToken")
    world.mint(token, ALICE.address, 5_000)
    world.approve(token, ALICE.address, 5_000)
    order = world.native_order(ALICE.address, BOB, token=token, min_interval=60, max_executions=5)
    data = fund_with_permit_calldata(
        order, 5_000, DEADLINE, MALLORY.sign_digest(bytes(32)), world.sign(ALICE, order)
    )
    assert world.refusal(MALLORY.address, world.escrow, data) == "PermitIgnored"
    assert world.token_balance(token, ALICE.address) == 5_000
    assert world.execute(order, 0, world.sign(ALICE, order)).success


def test_a_permit_of_an_unusual_domain_works_as_the_token_defines_it(world: World) -> None:
    token = world.deploy("SaltedPermitToken")
    world.mint(token, ALICE.address, 5_000)
    order = world.native_order(ALICE.address, BOB, token=token)
    allowed = world.permit(ALICE, 1_000, DEADLINE, token=token)
    foreign = world.permit(ALICE, 1_000, DEADLINE)
    signature = world.sign(ALICE, order)
    data = fund_with_permit_calldata(order, 1_000, DEADLINE, foreign, signature)
    assert world.chain.send(MALLORY.address, world.escrow, data).success is False
    data = fund_with_permit_calldata(order, 1_000, DEADLINE, allowed, signature)
    world.must(MALLORY.address, world.escrow, data)
    assert world.execute(order, 0, signature).success
    payouts = Payouts(world)
    batch = Batch(ALICE, [PayoutRow(BOB, token, 1_000)])
    # the second permit of the owner, for another spender
    kind = keccak(b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")
    values = (ALICE.address, payouts.address, 1_000, 1, DEADLINE)
    words = call("_(address,address,uint256,uint256,uint256)", *values)[4:]
    separator = world.chain.read(token, call("DOMAIN_SEPARATOR()"))
    second = ALICE.sign_digest(keccak(b"\x19\x01" + separator + keccak(kind + words)))
    funding = fund_batch_calldata(
        batch.manifest, [TotalPermit(0, DEADLINE, second)], payouts.sign(ALICE, batch)
    )
    world.must(MALLORY.address, payouts.address, funding)
    assert payouts.pay(batch, 0, 1).success


def test_huge_reasons_are_kept_in_part(world: World) -> None:
    payouts = Payouts(world)
    token = nasty(world)
    batch = Batch(ALICE, [PayoutRow(BOB, token, 1)])
    payouts.fund(batch)
    behave(world, token, REVERTS_HUGE)
    (event,) = payouts.events(payouts.pay(batch, 0, 1))
    assert isinstance(event, RowFailed)
    assert len(event.reason) == 256
