"""Recipients, tokens, accounts and callers that mean harm."""

import pytest
from eth_abi.abi import encode

from snowrail_chain.abi import (
    Executed,
    Execution,
    ExecutionFailed,
    cancel_calldata,
    deposit_calldata,
    execute_calldata,
    execute_many_calldata,
    explain_revert,
    fund_calldata,
    fund_with_permit_calldata,
    return_expired_calldata,
)
from snowrail_chain.deploy import EXECUTOR_ROLE
from snowrail_chain.eip712 import Order

from .chains import START_TIME, address_of
from .world import RICH, World, call, person

ALICE = person("alice")
BOB = address_of("bob")
CONFIGURE_TOKEN = "configure(address,uint256,bytes,uint256)"
ACCEPT, REVERT, BURN_GAS, RETURN_BOMB, REENTER = range(5)


def configure(
    world: World, recipient: str, behaviour: int, target: str | None = None, data: bytes = b""
) -> None:
    """Choose what the hostile recipient does."""
    arguments = (behaviour, target or recipient, data)
    world.must(world.admin, recipient, call("configure(uint8,address,bytes)", *arguments))


def funded(world: World, recipient: str, **terms: object) -> Order:
    """A native order of Alice with its deposit."""
    order = world.native_order(ALICE.address, recipient, **terms)
    world.chain.set_balance(ALICE.address, RICH)
    world.must(ALICE.address, world.escrow, fund_calldata(order), value=order.amount * order.max_executions)
    return order


@pytest.mark.parametrize("behaviour", [REVERT, BURN_GAS, RETURN_BOMB])
def test_a_failing_recipient_fails_alone_and_can_be_paid_later(world: World, behaviour: int) -> None:
    recipient = world.deploy("HostileRecipient")
    bad, good = funded(world, recipient), funded(world, BOB)
    configure(world, recipient, behaviour)
    assert world.execute_error(bad) == "NativeTransferFailed"
    outcome = world.execute_many([Execution(bad, 0, b""), Execution(good, 0, b"")])
    failed, paid = world.events(outcome)
    assert isinstance(failed, ExecutionFailed)
    assert explain_revert(failed.reason).name == "NativeTransferFailed"
    assert isinstance(paid, Executed)
    assert outcome.gas_used < 400_000
    assert world.state(bad).deposited == bad.amount
    configure(world, recipient, ACCEPT)
    assert world.execute(bad).success
    assert world.chain.balance(recipient) == bad.amount


def test_a_recipient_cannot_reenter_even_as_executor_and_payer(world: World) -> None:
    recipient = world.deploy("HostileRecipient")
    role = call("grantRole(bytes32,address)", EXECUTOR_ROLE, recipient)
    world.must(world.admin, world.escrow, role)
    world.chain.set_balance(recipient, RICH)
    order = funded(world, recipient, min_interval=1, max_executions=5)
    own = world.native_order(recipient, BOB, max_executions=2, min_interval=1)
    perform = call("perform(address,uint256,bytes)", world.escrow, 1_000, fund_calldata(own))
    world.must(world.admin, recipient, perform)
    world.chain.set_time(START_TIME + 10)
    attempts = [
        execute_calldata(Execution(order, 1, b"")),
        execute_many_calldata([Execution(order, 1, b"")]),
        cancel_calldata(own),
        return_expired_calldata(own),
        call("withdrawFees(address)", bytes(20)),
    ]
    for occurrence, data in enumerate(attempts):
        configure(world, recipient, REENTER, world.escrow, data)
        before = world.chain.balance(recipient)
        assert world.execute(order, occurrence).success
        assert not world.chain.read(recipient, call("reentered()"))[-1]
        assert world.chain.balance(recipient) == before + order.amount
    assert world.state(order).executed == 5
    assert world.state(own).deposited == 1_000


def entries(world: World, token: str) -> dict[str, tuple[int, bytes]]:
    """Calls, with their value, that the hostile token could make at any other moment."""
    native = {"min_interval": 1, "max_executions": 9}
    own = [world.native_order(token, BOB, salt=bytes((index,)) * 32, **native) for index in range(2)]
    dollars = world.native_order(token, BOB, token=world.usdc)
    expired = funded(world, BOB, salt=b"\7" * 32, valid_until=START_TIME + 5)
    due = funded(world, BOB, salt=b"\6" * 32, **native)
    permitted = world.native_order(ALICE.address, BOB, token=world.usdc)
    world.chain.set_balance(token, RICH)
    for account in (token, ALICE.address):
        world.mint(world.usdc, account, 5_000)
    for target, value, data in (
        (world.escrow, 1_000, fund_calldata(own[0])),
        (world.usdc, 0, call("approve(address,uint256)", world.escrow, 5_000)),
    ):
        world.must(world.admin, token, call("perform(address,uint256,bytes)", target, value, data))
    world.must(world.admin, world.escrow, call("setFee(address,uint256)", address_of("treasury"), 100))
    taxed = world.native_order(ALICE.address, BOB, amount=10_000, max_fee=100)
    world.must(ALICE.address, world.escrow, fund_calldata(taxed), value=10_100)
    assert world.execute(taxed).success
    permit = world.permit(ALICE, 1_000, START_TIME + 600)
    signature = world.sign(ALICE, permitted)
    return {
        "execute": (0, execute_calldata(Execution(due, 0, b""))),
        "executeMany": (0, execute_many_calldata([Execution(due, 1, b"")])),
        "cancel": (0, cancel_calldata(own[0])),
        "fund": (1, fund_calldata(own[1])),
        "deposit": (0, deposit_calldata(dollars, 1_000)),
        "fundWithPermit": (
            0,
            fund_with_permit_calldata(permitted, 1_000, START_TIME + 600, permit, signature),
        ),
        "returnExpired": (0, return_expired_calldata(expired)),
        "withdrawFees": (0, call("withdrawFees(address)", bytes(20))),
    }


def test_no_entry_is_open_while_a_payment_is_under_way(world: World) -> None:
    token = world.deploy("HostileToken")
    world.must(world.admin, world.escrow, call("grantRole(bytes32,address)", EXECUTOR_ROLE, token))
    attempts = entries(world, token)
    order = world.native_order(ALICE.address, BOB, token=token, min_interval=1, max_executions=20)
    world.must(world.admin, token, call("mint(address,uint256)", ALICE.address, 100_000))
    world.approve(token, ALICE.address, 100_000)
    signature = world.sign(ALICE, order)
    world.chain.set_time(START_TIME + 30)
    for occurrence, (value, data) in enumerate(attempts.values()):
        world.must(world.admin, token, call(CONFIGURE_TOKEN, world.escrow, value, data, 0))
        assert world.execute(order, occurrence, signature).success
        assert not world.chain.read(token, call("reentered()"))[-1]
        perform = call("perform(address,uint256,bytes)", world.escrow, value, data)
        world.must(world.admin, token, perform)  # so it was the guard that refused it
    assert world.token_balance(token, BOB) == len(attempts) * order.amount


def test_revert_data_of_a_token_is_kept_only_in_part(world: World) -> None:
    token = world.deploy("HostileToken")
    order = world.native_order(ALICE.address, BOB, token=token)
    good = funded(world, BOB)
    world.must(world.admin, token, call("mint(address,uint256)", ALICE.address, 10_000))
    world.approve(token, ALICE.address, 10_000)
    world.must(world.admin, token, call(CONFIGURE_TOKEN, bytes(20), 0, b"", 100_000))
    items = [Execution(order, 0, world.sign(ALICE, order)), Execution(good, 0, b"")]
    failed, paid = world.events(world.execute_many(items))
    assert isinstance(failed, ExecutionFailed)
    assert len(failed.reason) <= 256
    assert isinstance(paid, Executed)


def test_a_token_that_takes_a_fee_is_refused_everywhere(world: World) -> None:
    token = world.deploy("FeeOnTransferToken")
    order = world.native_order(ALICE.address, BOB, token=token)
    world.mint(token, ALICE.address, 10_000)
    world.approve(token, ALICE.address, 10_000)
    refusal = world.refusal(ALICE.address, world.escrow, deposit_calldata(order, 1_000))
    assert refusal == "UnexpectedBalanceChange"
    assert world.execute_error(order, 0, world.sign(ALICE, order)) == "UnexpectedBalanceChange"
    assert world.token_balance(token, ALICE.address) == 10_000


def test_an_address_without_code_is_no_token(world: World) -> None:
    order = world.native_order(ALICE.address, BOB, token=address_of("no token"))
    world.chain.set_balance(ALICE.address, RICH)
    assert not world.execute(order, 0, world.sign(ALICE, order)).success
    assert not world.chain.send(ALICE.address, world.escrow, deposit_calldata(order, 1_000)).success


def test_too_little_gas_reverts_the_whole_call_and_fails_no_item(world: World) -> None:
    recipient = world.deploy("HostileRecipient")
    orders = [funded(world, recipient, salt=bytes((index,)) * 32) for index in range(3)]
    data = execute_many_calldata([Execution(order, 0, b"") for order in orders])
    refused = 0
    for gas in range(40_000, 800_000, 7_919):
        outcome = world.chain.send(world.executor, world.escrow, data, gas=gas)
        if outcome.success:
            assert [type(event) for event in world.events(outcome)] == [Executed] * 3
            break
        refused += 1
        assert all(world.state(order).executed == 0 for order in orders)
    assert refused > 20
    assert all(world.state(order).executed == 1 for order in orders)


def test_too_little_gas_never_makes_a_single_recipient_fail(world: World) -> None:
    recipient = world.deploy("HostileRecipient")
    order = funded(world, recipient)
    data = execute_calldata(Execution(order, 0, b""))
    for gas in range(40_000, 300_000, 1_009):
        outcome = world.chain.send(world.executor, world.escrow, data, gas=gas)
        if outcome.success:
            break
        assert explain_revert(outcome.output).name in ("Empty", "InsufficientGas")
    assert world.state(order).executed == 1


def test_a_contract_account_pays_by_its_own_signature_and_revokes_it(world: World) -> None:
    account = world.deploy("TestSmartAccount", encode(["address"], [ALICE.address]))
    order = world.native_order(account, BOB, token=world.usdc, min_interval=1, max_executions=2)
    world.mint(world.usdc, account, 10_000)
    approve = call("approve(address,uint256)", world.escrow, 10_000)
    world.must(ALICE.address, account, call("perform(address,uint256,bytes)", world.usdc, 0, approve))
    world.chain.set_time(START_TIME + 1)
    assert world.execute_error(order, 0, world.sign(person("mallory"), order)) == "InvalidSignature"
    assert world.execute(order, 0, world.sign(ALICE, order)).success
    cancel = call("perform(address,uint256,bytes)", world.escrow, 0, cancel_calldata(order))
    world.must(ALICE.address, account, cancel)
    assert world.execute_error(order, 1, world.sign(ALICE, order)) == "OrderCancelled"


def test_a_payer_that_refuses_coin_still_cancels_and_is_repaid_later(world: World) -> None:
    account = world.deploy("TestSmartAccount", encode(["address"], [ALICE.address]))
    world.chain.set_balance(account, 5_000)
    order = world.native_order(account, BOB)
    fund = call("perform(address,uint256,bytes)", world.escrow, 1_000, fund_calldata(order))
    cancel = call("perform(address,uint256,bytes)", world.escrow, 0, cancel_calldata(order))
    world.must(ALICE.address, account, fund)
    world.must(ALICE.address, account, call("setAccepting(bool)", False))
    world.must(ALICE.address, account, cancel)
    assert world.execute_error(order) == "OrderCancelled"
    assert world.state(order).deposited == 1_000
    world.chain.set_time(order.valid_until + 1)
    refusal = world.refusal(person("anyone").address, world.escrow, return_expired_calldata(order))
    assert refusal == "ReturnFailed"
    world.must(ALICE.address, account, call("setAccepting(bool)", True))
    world.must(ALICE.address, account, cancel)
    assert world.chain.balance(account) == 5_000


def test_more_items_than_allowed_are_refused(world: World) -> None:
    order = funded(world, BOB)
    data = execute_many_calldata([Execution(order, 0, b"")] * 256)
    count = (257).to_bytes(32, "big")
    assert world.refusal(world.executor, world.escrow, data[:36] + count + data[68:]) == "TooManyItems"
    assert world.chain.balance(BOB) == 0
