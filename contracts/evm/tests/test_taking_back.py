"""The payer's way out, permits, roles and the pause."""

import pytest
from eth_hash.auto import keccak

from snowrail_chain.abi import (
    Cancelled,
    Execution,
    Funded,
    OrderState,
    Returned,
    cancel_calldata,
    deposit_calldata,
    execute_many_calldata,
    fund_calldata,
    fund_with_permit_calldata,
    return_expired_calldata,
)
from snowrail_chain.deploy import EXECUTOR_ROLE
from snowrail_chain.eip712 import order_hash

from .chains import START_TIME, address_of
from .world import RICH, World, call, person

ALICE = person("alice")
MALLORY = person("mallory")
BOB = address_of("bob")
DEADLINE = START_TIME + 600


def test_an_expired_deposit_goes_back_to_the_payer_whoever_asks(world: World) -> None:
    order = world.native_order(ALICE.address, BOB)
    world.chain.set_balance(ALICE.address, 1_000)
    world.must(ALICE.address, world.escrow, fund_calldata(order), value=1_000)
    data = return_expired_calldata(order)
    world.chain.set_time(order.valid_until)
    assert world.refusal(MALLORY.address, world.escrow, data) == "OrderNotExpired"
    world.chain.set_time(order.valid_until + 1)
    outcome = world.must(MALLORY.address, world.escrow, data)
    assert world.events(outcome) == [Returned(order_hash(order), ALICE.address, 1_000)]
    assert world.chain.balance(ALICE.address) == 1_000
    assert world.refusal(MALLORY.address, world.escrow, data) == "NothingToMove"


@pytest.mark.parametrize("token_name", ["usdc", "usdt"])
def test_cancelling_returns_what_is_unspent(world: World, token_name: str) -> None:
    token: str = getattr(world, token_name)
    order = world.native_order(ALICE.address, BOB, token=token, min_interval=60, max_executions=3)
    world.mint(token, ALICE.address, 5_000)
    world.approve(token, ALICE.address, 5_000)
    world.must(ALICE.address, world.escrow, deposit_calldata(order, 3_000))
    assert world.execute(order).success
    outcome = world.must(ALICE.address, world.escrow, cancel_calldata(order))
    assert world.events(outcome) == [Cancelled(order_hash(order), ALICE.address, 2_000)]
    assert world.token_balance(token, ALICE.address) == 4_000
    assert world.token_balance(token, world.escrow) == 0


def test_cancelling_before_anything_happened_stops_a_signed_order(world: World) -> None:
    order = world.native_order(ALICE.address, BOB, token=world.usdc)
    world.mint(world.usdc, ALICE.address, 5_000)
    world.approve(world.usdc, ALICE.address, 5_000)
    world.must(ALICE.address, world.escrow, cancel_calldata(order))
    assert world.execute_error(order, 0, world.sign(ALICE, order)) == "OrderCancelled"


def test_a_permit_funds_without_a_transaction_of_the_payer(world: World) -> None:
    order = world.native_order(ALICE.address, BOB, token=world.usdc)
    world.mint(world.usdc, ALICE.address, 5_000)
    data = fund_with_permit_calldata(
        order, 1_000, DEADLINE, world.permit(ALICE, 1_000, DEADLINE), world.sign(ALICE, order)
    )
    outcome = world.must(MALLORY.address, world.escrow, data)
    assert world.events(outcome) == [Funded(order_hash(order), ALICE.address, world.usdc, 1_000, 1_000)]
    assert world.state(order) == OrderState(0, False, False, 1_000)
    assert world.execute_error(order, 0) == "InvalidSignature"
    assert world.execute(order, 0, world.sign(ALICE, order)).success


def test_the_payers_own_permit_needs_no_signature_of_the_order(world: World) -> None:
    order = world.native_order(ALICE.address, BOB, token=world.usdc)
    world.mint(world.usdc, ALICE.address, 5_000)
    data = fund_with_permit_calldata(order, 1_000, DEADLINE, world.permit(ALICE, 1_000, DEADLINE), b"")
    assert world.refusal(MALLORY.address, world.escrow, data) == "InvalidSignature"
    world.must(ALICE.address, world.escrow, data)
    assert world.execute(order).success


def test_a_permit_spent_by_somebody_else_leaves_an_allowance_that_serves(world: World) -> None:
    order = world.native_order(ALICE.address, BOB, token=world.usdc)
    world.mint(world.usdc, ALICE.address, 5_000)
    allowed = world.permit(ALICE, 1_000, DEADLINE)
    kinds = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
    arguments = (ALICE.address, world.escrow, 1_000, DEADLINE, allowed[64], allowed[:32], allowed[32:64])
    world.must(MALLORY.address, world.usdc, call(kinds, *arguments))
    data = fund_with_permit_calldata(order, 1_000, DEADLINE, allowed, b"")
    assert world.refusal(ALICE.address, world.escrow, data) == "ERC2612InvalidSigner"
    assert world.execute(order, 0, world.sign(ALICE, order)).success


def test_a_permit_for_an_order_of_somebody_else_moves_nothing(world: World) -> None:
    order = world.native_order(ALICE.address, MALLORY.address, token=world.usdc)
    world.mint(world.usdc, ALICE.address, 5_000)
    data = fund_with_permit_calldata(
        order, 1_000, DEADLINE, world.permit(ALICE, 1_000, DEADLINE), world.sign(MALLORY, order)
    )
    assert world.refusal(MALLORY.address, world.escrow, data) == "InvalidSignature"
    native = world.native_order(ALICE.address, BOB)
    data = fund_with_permit_calldata(native, 1_000, DEADLINE, world.permit(ALICE, 1_000, DEADLINE), b"")
    assert world.refusal(ALICE.address, world.escrow, data) == "WrongToken"


def test_the_pause_stops_executions_and_no_way_out(world: World) -> None:
    order = world.native_order(ALICE.address, BOB)
    expired = world.native_order(ALICE.address, BOB, valid_until=START_TIME)
    world.chain.set_balance(ALICE.address, RICH)
    assert world.refusal(MALLORY.address, world.escrow, call("pause()")) == "AccessControlUnauthorizedAccount"
    world.must(ALICE.address, world.escrow, fund_calldata(expired), value=1_000)
    world.must(world.admin, world.escrow, call("pause()"))
    world.must(ALICE.address, world.escrow, fund_calldata(order), value=1_000)
    assert world.execute_error(order) == "EnforcedPause"
    many = execute_many_calldata([Execution(order, 0, b"")])
    assert world.refusal(world.executor, world.escrow, many) == "EnforcedPause"
    world.must(ALICE.address, world.escrow, cancel_calldata(order))
    world.chain.set_time(START_TIME + 1)
    world.must(MALLORY.address, world.escrow, return_expired_calldata(expired))
    assert world.chain.balance(ALICE.address) == RICH
    assert world.chain.balance(world.escrow) == 0


def test_the_administrator_adds_and_removes_executors_and_nothing_more(world: World) -> None:
    order = world.native_order(ALICE.address, BOB)
    world.chain.set_balance(ALICE.address, RICH)
    world.must(ALICE.address, world.escrow, fund_calldata(order), value=1_000)
    revoke = call("revokeRole(bytes32,address)", EXECUTOR_ROLE, world.executor)
    assert world.refusal(MALLORY.address, world.escrow, revoke) == "AccessControlUnauthorizedAccount"
    world.must(world.admin, world.escrow, revoke)
    assert world.execute_error(order) == "AccessControlUnauthorizedAccount"
    assert world.refusal(world.admin, world.escrow, cancel_calldata(order)) == "NotPayer"


def test_test_tokens_follow_their_models(world: World) -> None:
    assert world.refusal(MALLORY.address, world.usdc, call("mint(address,uint256)", BOB, 1)) != ""
    assert world.refusal(MALLORY.address, world.usdt, call("mint(address,uint256)", BOB, 1)) == "Unknown"
    world.mint(world.usdt, ALICE.address, 10)
    outcome = world.must(ALICE.address, world.usdt, call("transfer(address,uint256)", BOB, 4))
    assert outcome.output == b""
    wcro = world.deploy("TestWCRO")
    world.chain.set_balance(ALICE.address, 100)
    world.must(ALICE.address, wcro, call("deposit()"), value=60)
    world.must(ALICE.address, wcro, call("withdraw(uint256)", 20))
    assert world.token_balance(wcro, ALICE.address) == 40
    assert world.chain.balance(ALICE.address) == 60


def test_an_authorisation_moves_test_dollars_once(world: World) -> None:
    world.mint(world.usdc, ALICE.address, 100)
    kind = keccak(
        b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,"
        b"uint256 validBefore,bytes32 nonce)"
    )
    values = (ALICE.address, BOB, 30, 0, DEADLINE, b"\1" * 32)
    words = call("_(address,address,uint256,uint256,uint256,bytes32)", *values)[4:]
    separator = world.chain.read(world.usdc, call("DOMAIN_SEPARATOR()"))
    signature = ALICE.sign_digest(keccak(b"\x19\x01" + separator + keccak(kind + words)))
    name = "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
    data = call(name, *values, signature[64], signature[:32], signature[32:64])
    world.must(MALLORY.address, world.usdc, data)
    assert world.token_balance(world.usdc, BOB) == 30
    assert world.refusal(MALLORY.address, world.usdc, data) == "AuthorizationUsedAlready"
