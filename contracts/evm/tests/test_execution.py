"""What the escrow executes, and every term it enforces."""

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from snowrail_chain.abi import (
    Cancelled,
    Executed,
    Execution,
    ExecutionFailed,
    Funded,
    OrderState,
    cancel_calldata,
    deposit_calldata,
    execute_calldata,
    execute_many_calldata,
    explain_revert,
    fund_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.eip712 import Order, order_hash

from .chains import START_TIME, address_of
from .world import GAS_PRICE_LIMIT, RICH, World, call, malleated, person

ALICE = person("alice")
MALLORY = person("mallory")
BOB = address_of("bob")
DAY = 86_400
_EXECUTE_ITEM = keccak(
    b"executeItem(((address,address,address,uint256,uint64,uint64,uint256,uint256,uint64,uint32,uint256,bytes32),"
    b"uint32,bytes))"
)[:4]


def funded(world: World, **terms: object) -> Order:
    """A native order of Alice to Bob with its deposit for all executions."""
    order = world.native_order(ALICE.address, BOB, **terms)
    world.chain.set_balance(ALICE.address, RICH)
    total = (order.amount + order.max_fee) * order.max_executions
    world.must(ALICE.address, world.escrow, fund_calldata(order), value=total)
    return order


def allowed(world: World, token: str, **terms: object) -> tuple[Order, bytes]:
    """A signed token order of Alice to Bob with balance and allowance for one million atoms."""
    order = world.native_order(ALICE.address, BOB, token=token, **terms)
    world.mint(token, ALICE.address, 1_000_000)
    world.approve(token, ALICE.address, 1_000_000)
    return order, world.sign(ALICE, order)


def test_native_order_pays_the_recipient_once(world: World) -> None:
    order = funded(world)
    outcome = world.execute(order)
    assert outcome.success
    assert world.chain.balance(BOB) == order.amount
    assert world.events(outcome) == [
        Executed(order_hash(order), 0, BOB, ALICE.address, NATIVE_TOKEN, order.amount, 0)
    ]
    assert world.execute_error(order, 0) == "OccurrenceMismatch"
    assert world.execute_error(order, 1) == "NotDue"
    assert world.chain.balance(BOB) == order.amount


def test_funding_is_announced_and_counted(world: World) -> None:
    order = world.native_order(ALICE.address, BOB, min_interval=60, max_executions=3)
    world.chain.set_balance(ALICE.address, RICH)
    world.must(ALICE.address, world.escrow, fund_calldata(order), value=700)
    outcome = world.must(ALICE.address, world.escrow, fund_calldata(order), value=500)
    assert world.events(outcome) == [Funded(order_hash(order), ALICE.address, NATIVE_TOKEN, 500, 1_200)]
    assert world.state(order) == OrderState(0, False, True, 1_200)


@pytest.mark.parametrize("token_name", ["usdc", "usdt"])
def test_token_order_pays_from_the_wallet_with_a_signature(world: World, token_name: str) -> None:
    token: str = getattr(world, token_name)
    order, signature = allowed(world, token)
    assert world.execute_error(order, 0, b"") == "InvalidSignature"
    assert world.execute(order, 0, signature).success
    assert world.token_balance(token, BOB) == order.amount
    assert world.token_balance(token, ALICE.address) == 1_000_000 - order.amount
    assert world.token_balance(token, world.escrow) == 0


def test_deposited_tokens_need_no_signature_and_the_wallet_does(world: World) -> None:
    order, signature = allowed(world, world.usdt, min_interval=60, max_executions=2)
    world.must(ALICE.address, world.escrow, deposit_calldata(order, order.amount))
    world.chain.set_time(START_TIME + 60)
    assert world.execute(order, 0).success
    assert world.execute_error(order, 1) == "InvalidSignature"
    assert world.execute(order, 1, signature).success
    assert world.token_balance(world.usdt, BOB) == 2 * order.amount


def test_a_deposit_that_falls_short_is_not_mixed_with_the_wallet(world: World) -> None:
    order, signature = allowed(world, world.usdc)
    world.must(ALICE.address, world.escrow, deposit_calldata(order, order.amount - 1))
    assert world.execute(order, 0, signature).success
    assert world.state(order).deposited == order.amount - 1
    assert world.token_balance(world.usdc, BOB) == order.amount


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"valid_after": START_TIME + 1}, "OrderNotYetValid"),
        ({"valid_after": START_TIME - 2, "valid_until": START_TIME - 1}, "OrderExpired"),
        ({"max_gas_price": 9}, "GasPriceAboveLimit"),
        ({"safety_buffer": 1_000_000}, "SafetyBufferBroken"),
        ({"amount": 1_000_001}, "ERC20InsufficientBalance"),
    ],
)
def test_a_term_that_does_not_hold_stops_the_execution(
    world: World, terms: dict[str, int], error: str
) -> None:
    order, signature = allowed(world, world.usdc, **terms)
    world.approve(world.usdc, ALICE.address, 10**30)
    assert world.execute_error(order, 0, signature, gas_price=10) == error
    assert world.token_balance(world.usdc, BOB) == 0
    assert world.state(order).executed == 0


def test_terms_that_just_hold_let_the_execution_pass(world: World) -> None:
    order, signature = allowed(
        world,
        world.usdc,
        valid_after=START_TIME,
        valid_until=START_TIME,
        safety_buffer=999_000,
        max_gas_price=7,
    )
    assert world.execute(order, 0, signature, gas_price=7).success


def test_native_safety_buffer_is_what_the_wallet_keeps(world: World) -> None:
    order = funded(world, safety_buffer=500)
    world.chain.set_balance(ALICE.address, 499)
    assert world.execute_error(order) == "SafetyBufferBroken"
    world.chain.set_balance(ALICE.address, 500)
    assert world.execute(order).success


def test_recurrence_lets_missed_runs_catch_up_and_no_more(world: World) -> None:
    order = funded(world, min_interval=DAY, max_executions=3, valid_until=START_TIME + 30 * DAY)
    assert world.execute(order, 0).success
    assert world.execute_error(order, 1) == "NotDue"
    world.chain.set_time(START_TIME + DAY - 1)
    assert world.execute_error(order, 1) == "NotDue"
    world.chain.set_time(START_TIME + 10 * DAY)
    assert world.execute(order, 1).success
    assert world.execute(order, 2).success
    assert world.execute_error(order, 3) == "NotDue"
    assert world.chain.balance(BOB) == 3 * order.amount


@pytest.mark.parametrize(
    "terms",
    [
        {"amount": 0},
        {"recipient": ALICE.address},
        {"recipient": NATIVE_TOKEN},
        {"max_executions": 0},
        {"max_executions": 2, "min_interval": 0},
        {"valid_after": START_TIME + 1, "valid_until": START_TIME},
    ],
)
def test_an_order_that_makes_no_sense_is_neither_funded_nor_executed(
    world: World, terms: dict[str, int | str]
) -> None:
    order = replace(world.native_order(ALICE.address, BOB), **terms)
    world.chain.set_balance(ALICE.address, RICH)
    assert world.refusal(ALICE.address, world.escrow, fund_calldata(order), value=1) == "InvalidOrder"
    assert world.execute_error(order, 0, world.sign(ALICE, order)) == "InvalidOrder"


def test_the_escrow_is_no_party_to_an_order(world: World) -> None:
    for terms in ({"recipient": world.escrow}, {"token": world.escrow}, {"payer": world.escrow}):
        order = replace(world.native_order(ALICE.address, BOB), **terms)
        assert world.execute_error(order, 0, world.sign(ALICE, order)) == "InvalidOrder"


def test_only_executors_execute(world: World) -> None:
    order = funded(world)
    data = execute_calldata(Execution(order, 0, b""))
    for stranger in (ALICE.address, world.admin, MALLORY.address):
        assert world.refusal(stranger, world.escrow, data) == "AccessControlUnauthorizedAccount"
        many = execute_many_calldata([Execution(order, 0, b"")])
        assert world.refusal(stranger, world.escrow, many) == "AccessControlUnauthorizedAccount"
    direct = b"".join((_EXECUTE_ITEM, bytes(31), b"\x20", data[4:]))
    assert world.refusal(world.executor, world.escrow, direct) == "NotSelf"


def test_a_signature_of_another_order_chain_contract_or_person_is_refused(world: World) -> None:
    order, signature = allowed(world, world.usdc)
    other = replace(order, salt=b"\1" * 32)
    wrong = [
        world.sign(ALICE, other),
        world.sign(ALICE, order, chain_id=25),
        world.sign(ALICE, order, escrow=address_of("another escrow")),
        world.sign(MALLORY, order),
        malleated(signature),
        signature[:64],
        signature + b"\0",
        bytes(65),
    ]
    for candidate in wrong:
        assert world.execute_error(order, 0, candidate) == "InvalidSignature"
    assert world.execute(order, 0, signature).success
    assert world.execute_error(order, 0, malleated(signature)) == "OccurrenceMismatch"


@pytest.mark.parametrize("term", ["recipient", "amount", "token", "valid_until", "max_gas_price", "salt"])
def test_the_executor_chooses_nothing(world: World, term: str) -> None:
    order, signature = allowed(world, world.usdc)
    changed: dict[str, object] = {
        "recipient": MALLORY.address,
        "amount": order.amount + 1,
        "token": world.usdt,
        "valid_until": order.valid_until + 1,
        "max_gas_price": order.max_gas_price + 1,
        "salt": b"\2" * 32,
    }
    assert world.execute_error(replace(order, **{term: changed[term]}), 0, signature) == "InvalidSignature"


def test_only_the_payer_funds_and_only_what_the_order_can_spend(world: World) -> None:
    order = world.native_order(ALICE.address, BOB, min_interval=1, max_executions=2)
    for account in (ALICE.address, MALLORY.address):
        world.chain.set_balance(account, RICH)
    data = fund_calldata(order)
    assert world.refusal(MALLORY.address, world.escrow, data, value=1) == "NotPayer"
    assert world.refusal(ALICE.address, world.escrow, data, value=0) == "NothingToMove"
    assert world.refusal(ALICE.address, world.escrow, data, value=2_001) == "DepositAboveOrder"
    world.must(ALICE.address, world.escrow, data, value=2_000)
    assert world.refusal(ALICE.address, world.escrow, data, value=1) == "DepositAboveOrder"
    token_order = replace(order, token=world.usdc)
    assert world.refusal(ALICE.address, world.escrow, fund_calldata(token_order), value=1) == "WrongToken"
    assert world.refusal(ALICE.address, world.escrow, deposit_calldata(order, 1)) == "WrongToken"
    assert world.refusal(MALLORY.address, world.escrow, deposit_calldata(token_order, 1)) == "NotPayer"
    world.chain.set_time(order.valid_until + 1)
    assert world.refusal(ALICE.address, world.escrow, data, value=1) == "OrderExpired"


def test_an_unfunded_native_order_is_not_paid_by_others(world: World) -> None:
    funded(world)
    unfunded = world.native_order(MALLORY.address, BOB)
    assert world.execute_error(unfunded, 0, world.sign(MALLORY, unfunded)) == "InsufficientDeposit"


def test_fee_is_off_then_capped_by_the_order_and_taken_only_on_success(world: World) -> None:
    treasury = address_of("treasury")
    set_fee = call("setFee(address,uint256)", treasury, 100)
    order, signature = allowed(world, world.usdc, amount=10_000, max_fee=60, min_interval=1, max_executions=3)
    world.chain.set_time(START_TIME + 3)
    assert world.execute(order, 0, signature).success
    assert world.refusal(ALICE.address, world.escrow, set_fee) == "AccessControlUnauthorizedAccount"
    assert (
        world.refusal(world.admin, world.escrow, call("setFee(address,uint256)", treasury, 101))
        == "InvalidFee"
    )
    world.must(world.admin, world.escrow, set_fee)
    outcome = world.execute(order, 1, signature)
    event = world.events(outcome)[0]
    assert isinstance(event, Executed)
    assert event.fee == 60
    world.approve(world.usdc, ALICE.address, 10_059)
    assert world.execute_error(order, 2, signature) == "ERC20InsufficientAllowance"
    assert world.token_balance(world.usdc, world.escrow) == 60
    world.must(MALLORY.address, world.escrow, call("withdrawFees(address)", world.usdc))
    assert world.token_balance(world.usdc, treasury) == 60
    assert world.token_balance(world.usdc, BOB) == 20_000
    assert (
        world.refusal(world.admin, world.escrow, call("withdrawFees(address)", world.usdc)) == "NothingToMove"
    )


def test_one_failing_item_leaves_its_neighbours_paid(world: World) -> None:
    good = funded(world)
    late = funded(world, salt=b"\1" * 32, valid_after=START_TIME + 5)
    token_order, signature = allowed(world, world.usdc)
    outcome = world.execute_many(
        [
            Execution(good, 0, b""),
            Execution(late, 0, b""),
            Execution(token_order, 0, malleated(signature)),
            Execution(token_order, 0, signature),
            Execution(good, 0, b""),
        ]
    )
    assert outcome.success
    events = world.events(outcome)
    assert [type(event) for event in events] == [
        Executed,
        ExecutionFailed,
        ExecutionFailed,
        Executed,
        ExecutionFailed,
    ]
    reasons = [explain_revert(event.reason).name for event in events if isinstance(event, ExecutionFailed)]
    assert reasons == ["OrderNotYetValid", "InvalidSignature", "OccurrenceMismatch"]
    assert world.chain.balance(BOB) == good.amount
    assert world.state(late) == OrderState(0, False, True, late.amount)


def test_cancelled_orders_stay_cancelled_and_the_money_is_back(world: World) -> None:
    order = funded(world)
    before = world.chain.balance(ALICE.address)
    assert world.refusal(MALLORY.address, world.escrow, cancel_calldata(order)) == "NotPayer"
    outcome = world.must(ALICE.address, world.escrow, cancel_calldata(order))
    assert world.events(outcome) == [Cancelled(order_hash(order), ALICE.address, order.amount)]
    assert world.chain.balance(ALICE.address) == before + order.amount
    assert world.execute_error(order) == "OrderCancelled"
    assert world.refusal(ALICE.address, world.escrow, cancel_calldata(order)) == "OrderCancelled"
    assert world.refusal(ALICE.address, world.escrow, fund_calldata(order), value=1) == "OrderCancelled"


def test_gas_price_limit_is_the_default_of_these_tests(world: World) -> None:
    order = funded(world)
    assert world.execute_error(order, gas_price=GAS_PRICE_LIMIT + 1) == "GasPriceAboveLimit"
    assert world.execute(order, gas_price=GAS_PRICE_LIMIT).success


def test_fees_that_were_not_taken_leave_no_room_for_more_deposits(world: World) -> None:
    order = funded(world, max_fee=700, min_interval=1, max_executions=2)
    world.chain.set_time(START_TIME + 5)
    assert world.execute(order, 0).success
    assert world.state(order).deposited == 2_400
    for value in (1, 2**96):
        world.chain.set_balance(ALICE.address, 2**97)
        refusal = world.refusal(ALICE.address, world.escrow, fund_calldata(order), value=value)
        assert refusal == "DepositAboveOrder"
    assert world.execute(order, 1).success
    before = world.chain.balance(ALICE.address)
    world.must(ALICE.address, world.escrow, cancel_calldata(order))
    assert world.chain.balance(ALICE.address) == before + 1_400
