"""Who may fund and pay a batch, with which proof, and what hostile parties cannot do to it."""

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from snowrail_chain.abi import (
    TotalPermit,
    cancel_batch_calldata,
    fund_batch_calldata,
    pay_rows_calldata,
    return_unspent_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.deploy import EXECUTOR_ROLE

from .batches import Batch, Payouts, rows_of
from .chains import START_TIME, address_of
from .test_hostile import BURN_GAS, CONFIGURE_TOKEN, RETURN_BOMB, REVERT, configure
from .world import RICH, World, call, compact, malleated, person

ALICE = person("alice")
MALLORY = person("mallory")
DEADLINE = START_TIME + 600
PAY_ROW = keccak(b"payRow(bytes32,uint32,(address,address,uint256))")[:4]


@pytest.fixture
def payouts(world: World) -> Payouts:
    """A fresh contract."""
    return Payouts(world)


def test_only_the_signed_rows_are_paid(payouts: Payouts) -> None:
    world = payouts.world
    batch = Batch(ALICE, rows_of(NATIVE_TOKEN, 6))
    payouts.fund(batch)
    rows, proof = batch.rows[0:2], batch.tree.proof(0, 2)
    wrong = [
        (0, [replace(rows[0], amount=rows[0].amount + 1), rows[1]], proof),
        (0, [replace(rows[0], recipient=MALLORY.address), rows[1]], proof),
        (0, [rows[1], rows[0]], proof),
        (2, rows, proof),
        (0, rows, [proof[0], bytes(32)]),
        (0, rows, proof[::-1]),
    ]
    for first_index, run, nodes in wrong:
        data = pay_rows_calldata(batch.manifest, first_index, run, nodes)
        assert payouts.refusal(world.executor, data) == "InvalidProof"
    for run, nodes in ((rows, proof[:1]), (rows, [*proof, bytes(32)]), (batch.rows[:1], proof)):
        data = pay_rows_calldata(batch.manifest, 0, run, nodes)
        assert payouts.refusal(world.executor, data) == "WrongProofLength"
    for first_index, run in (
        (1, batch.rows[1:3]),
        (0, batch.rows[:3]),
        (4, [*batch.rows[4:], batch.rows[0]]),
    ):
        data = pay_rows_calldata(batch.manifest, first_index, run, proof)
        assert payouts.refusal(world.executor, data) == "MisalignedRows"
    assert payouts.state(batch).paid == 0


def test_an_inner_node_is_no_row(payouts: Payouts) -> None:
    """Two nodes beside one another are 64 bytes; a row is 128, hashed twice."""
    batch = Batch(ALICE, rows_of(NATIVE_TOKEN, 4))
    payouts.fund(batch)
    shallow = replace(batch.manifest, rows=2)
    data = pay_rows_calldata(shallow, 0, batch.rows[:2], [])
    assert payouts.refusal(payouts.world.executor, data) == "BatchNotFunded"


def test_a_signature_funds_a_batch_of_tokens_for_anyone(payouts: Payouts) -> None:
    world = payouts.world
    rows = [*rows_of(world.usdc, 3), *rows_of(world.usdt, 3)]
    batch = Batch(ALICE, rows, {world.usdc: 50})
    payouts.provide(batch)
    signature = payouts.sign(ALICE, batch)
    wrong = [
        payouts.sign(MALLORY, batch),
        payouts.sign(ALICE, batch, chain_id=25),
        payouts.sign(ALICE, batch, contract=world.escrow),
        payouts.sign(ALICE, Batch(ALICE, rows)),
        malleated(signature),
        compact(signature),
        b"",
    ]
    for other in wrong:
        data = fund_batch_calldata(batch.manifest, signature=other)
        assert payouts.refusal(MALLORY.address, data) == "InvalidSignature"
    world.must(MALLORY.address, payouts.address, fund_batch_calldata(batch.manifest, signature=signature))
    data = fund_batch_calldata(batch.manifest, signature=signature)
    assert payouts.refusal(MALLORY.address, data) == "BatchIsFunded"
    assert payouts.remainder(batch, world.usdc) == (303, 50)
    assert payouts.paid(payouts.pay(batch, 0, 6)) == list(range(6))


def test_a_contract_account_funds_by_its_own_signature(payouts: Payouts) -> None:
    world = payouts.world
    account = world.deploy("TestSmartAccount", encode(["address"], [ALICE.address]))
    batch = Batch(ALICE, rows_of(world.usdc, 2), account=account)
    world.mint(world.usdc, account, 1_000)
    approve = call("approve(address,uint256)", payouts.address, 1_000)
    world.must(ALICE.address, account, call("perform(address,uint256,bytes)", world.usdc, 0, approve))
    bad = fund_batch_calldata(batch.manifest, signature=payouts.sign(MALLORY, batch))
    assert payouts.refusal(MALLORY.address, bad) == "InvalidSignature"
    good = fund_batch_calldata(batch.manifest, signature=payouts.sign(ALICE, batch))
    world.must(MALLORY.address, payouts.address, good)
    assert payouts.pay(batch, 0, 2).success


def test_permits_fund_in_the_same_call_even_if_somebody_used_them_before(payouts: Payouts) -> None:
    world = payouts.world
    batch = Batch(ALICE, rows_of(world.usdc, 2), {world.usdc: 9})
    total = batch.manifest.totals[0]
    amount = total.amount + total.max_fee
    world.mint(world.usdc, ALICE.address, amount)
    allowed = world.permit(ALICE, amount, DEADLINE, spender=payouts.address)
    signature = payouts.sign(ALICE, batch)
    bare = fund_batch_calldata(batch.manifest, signature=signature)
    assert payouts.refusal(MALLORY.address, bare) == "ERC20InsufficientAllowance"
    kinds = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
    arguments = (ALICE.address, payouts.address, amount, DEADLINE, allowed[64], allowed[:32], allowed[32:64])
    world.must(MALLORY.address, world.usdc, call(kinds, *arguments))
    data = fund_batch_calldata(batch.manifest, [TotalPermit(0, DEADLINE, allowed)], signature)
    world.must(MALLORY.address, payouts.address, data)
    assert payouts.pay(batch, 0, 2).success


def test_only_executors_pay_and_the_pause_stops_no_way_out(payouts: Payouts) -> None:
    world = payouts.world
    batch = Batch(ALICE, rows_of(NATIVE_TOKEN, 2))
    payouts.fund(batch)
    for stranger in (ALICE.address, world.admin, MALLORY.address):
        assert payouts.refusal(stranger, batch.run(0, 2)) == "AccessControlUnauthorizedAccount"
    kinds = ["bytes32", "uint32", "(address,address,uint256)"]
    arguments = encode(kinds, [batch.hash, 0, (ALICE.address, NATIVE_TOKEN, 1)])
    assert payouts.refusal(world.executor, PAY_ROW + arguments) == "NotSelf"
    world.must(world.admin, payouts.address, call("pause()"))
    assert payouts.pay_error(batch, 0, 2) == "EnforcedPause"
    before = world.chain.balance(ALICE.address)
    payouts.cancel(batch)
    assert world.chain.balance(ALICE.address) == before + batch.value()


@pytest.mark.parametrize("behaviour", [REVERT, BURN_GAS, RETURN_BOMB])
def test_a_hostile_recipient_fails_alone_and_is_paid_later(payouts: Payouts, behaviour: int) -> None:
    world = payouts.world
    hostile = world.deploy("HostileRecipient")
    rows = rows_of(NATIVE_TOKEN, 4)
    rows[2] = replace(rows[2], recipient=hostile)
    batch = Batch(ALICE, rows)
    payouts.fund(batch)
    configure(world, hostile, behaviour)
    outcome = payouts.pay(batch, 0, 4)
    assert payouts.paid(outcome) == [0, 1, 3]
    assert payouts.failed(outcome) == {2: "NativeTransferFailed"}
    assert payouts.remainder(batch, NATIVE_TOKEN) == (rows[2].amount, 0)
    assert payouts.failed(payouts.pay(batch, 0, 4)) == {2: "NativeTransferFailed"}
    configure(world, hostile, 0)
    assert payouts.paid(payouts.pay(batch, 2, 1)) == [2]
    assert world.chain.balance(payouts.address) == 0


def test_no_entry_is_open_while_a_batch_is_funded_or_paid(payouts: Payouts) -> None:
    """A token that is executor and payer calls back from its transfer; later the same call succeeds."""
    world = payouts.world
    token = world.deploy("HostileToken")
    world.must(world.admin, payouts.address, call("grantRole(bytes32,address)", EXECUTOR_ROLE, token))
    world.must(world.admin, payouts.address, call("setFee(address,uint256)", address_of("treasury"), 100))
    world.chain.set_balance(token, RICH)
    perform = "perform(address,uint256,bytes)"
    native = rows_of(NATIVE_TOKEN, 4, amount=1_000)
    own = [Batch(ALICE, native, account=token, salt=bytes((index,)) * 32) for index in range(2)]
    expired = Batch(ALICE, native, account=token, valid_until=START_TIME + 5)
    for batch in (own[0], expired):
        fund = call(perform, payouts.address, batch.value(), fund_batch_calldata(batch.manifest))
        world.must(world.admin, token, fund)
    taxed = Batch(ALICE, native, {NATIVE_TOKEN: 100})
    payouts.fund(taxed)
    payouts.pay(taxed, 0, 4)
    world.chain.set_time(START_TIME + 10)
    attempts = [
        (0, own[0].run(0, 2)),
        (0, cancel_batch_calldata(own[0].manifest)),
        (own[1].value(), fund_batch_calldata(own[1].manifest)),
        (0, return_unspent_calldata(expired.manifest)),
        (0, call("withdrawFees(address)", NATIVE_TOKEN)),
    ]
    for number, (value, data) in enumerate(attempts):
        batch = Batch(ALICE, rows_of(token, 1), salt=number.to_bytes(32, "big"))
        payouts.provide(batch)
        world.must(world.admin, token, call(CONFIGURE_TOKEN, payouts.address, value, data, 0))
        world.must(ALICE.address, payouts.address, fund_batch_calldata(batch.manifest))
        assert payouts.paid(payouts.pay(batch, 0, 1)) == [0]
        assert not world.chain.read(token, call("reentered()"))[-1]
        world.must(world.admin, token, call(perform, payouts.address, value, data))
        world.must(world.admin, token, call(CONFIGURE_TOKEN, NATIVE_TOKEN, 0, b"", 0))


def test_too_little_gas_reverts_the_run_and_fails_no_row(payouts: Payouts) -> None:
    batch = Batch(ALICE, rows_of(NATIVE_TOKEN, 4))
    payouts.fund(batch)
    refused = 0
    for gas in range(60_000, 900_000, 9_973):
        outcome = payouts.pay(batch, 0, 4, gas=gas)
        if outcome.success:
            assert payouts.paid(outcome) == [0, 1, 2, 3]
            break
        refused += 1
        assert payouts.state(batch).paid == 0
    assert refused > 20
    assert payouts.state(batch).paid == 4


def test_one_token_that_cannot_be_returned_holds_up_no_other(payouts: Payouts) -> None:
    world = payouts.world
    nasty = world.deploy("NastyToken")
    batch = Batch(ALICE, [*rows_of(nasty, 1), *rows_of(world.usdc, 1), *rows_of(NATIVE_TOKEN, 1)])
    payouts.fund(batch)
    world.must(world.admin, nasty, call("setBehaviour(uint8)", 6))  # burns all gas
    payouts.cancel(batch)
    assert world.token_balance(world.usdc, ALICE.address) == 100
    assert payouts.remainder(batch, nasty) == (100, 0)
    assert payouts.refusal(ALICE.address, cancel_batch_calldata(batch.manifest)) == "NothingToMove"
    world.must(world.admin, nasty, call("setBehaviour(uint8)", 0))
    payouts.cancel(batch)
    assert world.token_balance(nasty, ALICE.address) == 100
