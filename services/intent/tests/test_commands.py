"""Commands over the real bus: each is answered, and what is refused changes nothing."""

from datetime import timedelta
from uuid import uuid4

from snowrail_events import (
    IntentAuthoriseV1,
    IntentCancelledV1,
    IntentCreatedV1,
    IntentDueV1,
    IntentPauseV1,
    IntentRejectedV1,
    IntentResumeV1,
    IntentUpdatedV1,
    PaymentSucceededV1,
    UserUpdatedV1,
)
from snowrail_kit.ids import derived_id
from snowrail_testkit import Builder
from snowrail_testkit.escrow import PAYER_KEYS, Payer

from .conftest import RunIntent, World, order_of
from .samples import CHAIN, PAYER, RECIPIENT, STRANGER, USDC
from .test_requests import look_alike_of


async def test_a_token_payment_goes_from_request_to_due_in_two_commands(world: World) -> None:
    world.approve()
    created = await world.created()
    assert (created.status, created.authorisation, created.fee_payer) == (
        "awaiting_authorisation", "typed_data", "platform",
    )  # fmt: skip
    assert (created.transaction, created.approval) == (None, None)
    assert created.estimated_gas_price == 7
    command = world.authorise(created)
    await world.publish(command)
    (due,) = await world.collect(IntentDueV1)
    assert due.payment_id == derived_id("payment", created.intent_id, 0)
    assert (due.occurrence, due.order, due.signature) == (0, created.order, command.signature)
    assert (due.order_hash, due.escrow, due.chain_id) == (created.order_hash, CHAIN.escrow, 31337)
    (updated,) = await world.collect(IntentUpdatedV1)
    assert (updated.status, updated.request_id, updated.version) == ("due", command.request_id, 3)
    (occurrence,) = await world.rows("SELECT * FROM occurrence")
    assert (occurrence["payment_id"], occurrence["status"]) == (due.payment_id, "paying")
    evaluations = await world.rows("SELECT * FROM evaluation")
    assert [(row["status"], row["reason"]) for row in evaluations] == [("due", None)]


async def test_the_native_coin_comes_with_its_funding_transaction(world: World) -> None:
    created = await world.created("CRO")
    assert created.authorisation == "fund_transaction"
    assert created.transaction is not None
    assert (created.transaction.to, created.transaction.value) == (CHAIN.escrow, 1_000)
    assert created.approval is None


async def test_a_missing_allowance_is_said_with_its_transaction_and_seen_when_it_is_there(
    world: World,
) -> None:
    created = await world.created()
    assert created.approval is not None
    assert created.approval.to == USDC.address
    await world.publish(world.authorise(created))
    (updated,) = await world.collect(IntentUpdatedV1)
    assert (updated.status, updated.reason) == ("awaiting_approval", "approval_missing")
    assert updated.next_step is not None
    assert updated.next_step == created.approval
    world.approve(amount=1_000)
    await world.pass_time(2)
    await world.collect(IntentDueV1)
    await world.status(created.intent_id, "due")


async def test_a_signed_payment_waits_for_its_funds(world: World) -> None:
    world.approve()
    created = await world.created()
    world.monitor.balances[PAYER.address, USDC.address] = 999
    await world.publish(world.authorise(created))
    await world.status(created.intent_id, "awaiting_funds", "insufficient_funds")
    await world.pass_time(2)
    await world.settle()
    world.monitor.balances[PAYER.address, USDC.address] = 1_000
    await world.pass_time(60)
    await world.status(created.intent_id, "due")
    evaluations = await world.rows("SELECT status, inputs->>'balance' AS balance FROM evaluation ORDER BY 1")
    assert {row["balance"] for row in evaluations} == {"999", "1000"}
    await world.collect(IntentUpdatedV1, 2)
    assert await world.broker.probe.count(IntentUpdatedV1) == 2  # not one for every look


async def test_refusals_name_the_request_and_change_nothing(world: World) -> None:
    commands = [
        (world.create(token="31337:" + RECIPIENT), "unknown_token"),
        (world.create(token="99:" + USDC.address), "unknown_chain"),
        (world.create(recipient=PAYER.address), "same_account"),
        (world.create(payer=RECIPIENT), "wrong_payer"),
        (world.create(payer=PAYER.address.lower()), "wrong_payer"),
        (world.create(recipient=RECIPIENT.lower()), "address_checksum_missing"),
        (world.create(amount=10**10), "limit_exceeded"),
        (world.create(not_before=world.clock.now() + timedelta(days=400)), "too_far_ahead"),
    ]
    await world.publish(*(command for command, _ in commands))
    rejections = await world.collect(IntentRejectedV1, len(commands))
    by_id = {rejection.intent_id: rejection for rejection in rejections}
    for command, code in commands:
        rejection = by_id[command.intent_id]
        assert (rejection.code, rejection.command) == (code, "create")
        assert (rejection.request_id, rejection.user_id) == (command.intent_id, command.user_id)
    for table in ("intent", "intent_order", "spending"):
        assert await world.rows(f"SELECT * FROM {table}") == []


async def test_too_little_money_is_refused_before_anything_is_signed(world: World) -> None:
    world.monitor.balances[PAYER.address, USDC.address] = 999
    await world.publish(world.create())
    (rejection,) = await world.collect(IntentRejectedV1)
    assert rejection.code == "insufficient_funds"
    assert "0.000999 USDC" in rejection.detail


async def test_the_same_payment_twice_asks_for_an_acknowledgement(world: World) -> None:
    first = await world.created()
    await world.publish(world.create())
    (rejection,) = await world.collect(IntentRejectedV1)
    assert rejection.code == "duplicate_payment"
    await world.created(acknowledged=("duplicate_payment",))
    await world.created(amount=1_001)
    world.clock.advance(121)
    await world.created()
    await world.publish(world.cancel(first.intent_id))
    await world.collect(IntentCancelledV1)
    assert len(await world.rows("SELECT * FROM intent")) == 4


async def test_the_same_payment_twice_in_one_batch_is_noticed_too(run_intent: RunIntent) -> None:
    async with run_intent() as world:
        await world.publish(world.create(), world.create())
        await world.parked(2)  # both wait for the user
        await world.register()
        await world.collect(IntentCreatedV1)
        (rejection,) = await world.collect(IntentRejectedV1)
        assert rejection.code == "duplicate_payment"


async def test_what_was_cancelled_is_no_duplicate(world: World) -> None:
    first = await world.created()
    await world.publish(world.cancel(first.intent_id))
    await world.collect(IntentCancelledV1)
    await world.created()


async def test_a_repeated_request_has_its_first_result(world: World) -> None:
    command = world.create()
    await world.publish(command)
    await world.collect(IntentCreatedV1)
    await world.publish(command, command.model_copy(update={"acknowledged": ("duplicate_payment",)}))
    await world.publish(command.model_copy(update={"amount": 5}))
    (rejection,) = await world.collect(IntentRejectedV1)
    assert rejection.code == "intent_exists"
    await world.settle()
    assert await world.broker.probe.count(IntentCreatedV1) == 1
    assert len(await world.rows("SELECT * FROM intent")) == 1


async def test_an_address_that_imitates_a_paid_one_is_blocked_until_acknowledged(
    world: World, build: Builder
) -> None:
    await world.publish(build(PaymentSucceededV1, user_id=world.user_id, recipient=RECIPIENT))
    poisoned = look_alike_of(RECIPIENT)
    await world.created()  # the paid one itself is fine
    await world.publish(world.create(recipient=poisoned))
    (rejection,) = await world.collect(IntentRejectedV1)
    assert rejection.code == "lookalike_address"
    await world.created(recipient=poisoned, acknowledged=("lookalike_address",))
    await world.register(other := uuid4(), Payer(PAYER_KEYS[2]))
    await world.created(recipient=poisoned, user_id=other, payer=Payer(PAYER_KEYS[2]).address)


async def test_daily_limits_add_up_and_follow_the_level(world: World) -> None:
    for amount in (900_000_000, 900_000_001, 900_000_002, 900_000_003, 900_000_004):
        await world.created(amount=amount)
    await world.publish(world.create(amount=900_000_005))
    (rejection,) = await world.collect(IntentRejectedV1)
    assert rejection.code == "limit_exceeded"
    assert "499.99999 USDC" in rejection.detail
    first = (await world.collect(IntentCreatedV1))[0]
    await world.publish(world.cancel(first.intent_id))
    await world.collect(IntentCancelledV1)
    await world.created(amount=900_000_006)  # what was cancelled gives its share back
    await world.publish(
        UserUpdatedV1(
            user_id=world.user_id, handle="alice", address=PAYER.address, roles=("user",), kyc_level=1,
            changed_at=world.clock.advance(1),
        )
    )  # fmt: skip
    await world.heard(UserUpdatedV1)
    await world.created(amount=5_000_000_000)
    (row,) = await world.rows("SELECT amount, gas FROM spending")
    assert (row["amount"], row["gas"]) == (4 * 900_000_000 + 10 + 900_000_006 + 5_000_000_000, 6 * 170_000)


async def test_without_limits_a_request_waits_for_its_user(run_intent: RunIntent) -> None:
    async with run_intent() as world:
        command = world.create()
        await world.publish(command)
        (parked,) = await world.parked(1)
        assert await world.rows("SELECT * FROM intent") == []
        assert parked["key"] == f"user:{world.user_id}"
        await world.register()
        (created,) = await world.collect(IntentCreatedV1)
        assert created.intent_id == command.intent_id


async def test_without_the_chain_nothing_is_decided(world: World) -> None:
    world.approve()
    created = await world.created()
    world.monitor.is_available = False
    create, authorise = world.create(amount=5), world.authorise(created)
    await world.publish(create, authorise)
    await world.settle()
    assert await world.broker.probe.count(IntentRejectedV1) == 0
    assert (await world.row(created.intent_id))["status"] == "awaiting_authorisation"
    world.monitor.is_available = True
    await world.collect(IntentDueV1)
    assert len(await world.collect(IntentCreatedV1, 2)) == 2


async def test_a_signature_that_does_not_hold_is_refused(world: World) -> None:
    created = await world.created()
    cases: list[tuple[IntentAuthoriseV1, str]] = [
        (world.authorise(created, STRANGER), "wrong_signature"),
        (world.authorise(created, signature="0x1234"), "malformed_signature"),
        (world.authorise(created, chain_id=25), "wrong_chain"),
        (world.authorise(created, user_id=uuid4()), "not_found"),
        (world.authorise(created, intent_id=uuid4()), "not_found"),
    ]
    await world.publish(*(command for command, _ in cases))
    rejections = {item.request_id: item for item in await world.collect(IntentRejectedV1, len(cases))}
    for command, code in cases:
        rejection = rejections[command.request_id]
        assert (rejection.code, rejection.command) == (code, "authorise")
    assert (await world.row(created.intent_id))["signature"] is None


async def test_an_intent_is_authorised_once(world: World) -> None:
    world.approve()
    created = await world.created()
    await world.publish(world.authorise(created), world.authorise(created))
    (rejection,) = await world.collect(IntentRejectedV1)
    assert rejection.code == "already_authorised"
    await world.collect(IntentDueV1)
    assert await world.broker.probe.count(IntentDueV1) == 1


async def test_a_scheduled_payment_is_armed_and_due_at_its_time(world: World) -> None:
    world.approve()
    at = world.clock.now() + timedelta(hours=2)
    created = await world.created(not_before=at)
    await world.publish(world.authorise(created))
    row = await world.status(created.intent_id, "armed")
    assert row["next_check_at"] == at + timedelta(seconds=3)
    await world.pass_time(7_200)
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 0
    await world.pass_time(3)
    (due,) = await world.collect(IntentDueV1)
    assert due.due_at == at + timedelta(seconds=3)


async def test_what_nobody_signed_is_cancelled_without_a_trace_on_chain(world: World) -> None:
    created = await world.created()
    command = world.cancel(created.intent_id)
    await world.publish(command)
    (cancelled,) = await world.collect(IntentCancelledV1)
    assert not cancelled.on_chain
    (updated,) = await world.collect(IntentUpdatedV1)
    assert (updated.status, updated.reason) == ("cancelled", "cancelled_by_user")
    assert (updated.request_id, updated.next_step) == (command.request_id, None)


async def test_what_was_signed_stops_at_once_and_offers_the_payers_cancellation(world: World) -> None:
    world.approve()
    created = await world.created(not_before=world.clock.now() + timedelta(hours=1))
    await world.publish(world.authorise(created))
    await world.status(created.intent_id, "armed")
    await world.publish(world.cancel(created.intent_id))
    await world.collect(IntentCancelledV1)
    updated = (await world.collect(IntentUpdatedV1, 2))[-1]
    assert updated.next_step is not None
    assert (updated.next_step.purpose, updated.next_step.to) == ("cancel", CHAIN.escrow)
    again = world.cancel(created.intent_id)
    await world.publish(again)
    repeated = (await world.collect(IntentUpdatedV1, 3))[-1]
    assert (repeated.request_id, repeated.next_step) == (again.request_id, updated.next_step)
    await world.pass_time(3_700)
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 0


async def test_while_a_payment_is_in_flight_only_the_chain_cancels(world: World) -> None:
    world.approve()
    created = await world.created()
    await world.publish(world.authorise(created))
    await world.collect(IntentDueV1)
    command = world.cancel(created.intent_id)
    await world.publish(command)
    updated = (await world.collect(IntentUpdatedV1, 2))[-1]
    assert (updated.status, updated.reason) == ("due", "cancel_on_chain_only")
    assert updated.request_id == command.request_id
    assert updated.next_step is not None
    assert updated.next_step.purpose == "cancel"
    assert await world.broker.probe.count(IntentCancelledV1) == 0


async def test_cancelling_what_is_not_there_or_not_ones_own_is_refused(world: World) -> None:
    created = await world.created()
    await world.publish(world.cancel(uuid4()), world.cancel(created.intent_id, uuid4()))
    rejections = await world.collect(IntentRejectedV1, 2)
    assert {(item.code, item.command) for item in rejections} == {("not_found", "cancel")}
    await world.publish(world.cancel(created.intent_id))
    await world.collect(IntentCancelledV1)
    await world.publish(world.cancel(created.intent_id))
    assert (await world.collect(IntentRejectedV1, 3))[-1].code == "already_cancelled"


async def test_an_intent_that_nobody_authorises_expires(world: World) -> None:
    created = await world.created()
    await world.pass_time(86_399)
    await world.settle()
    assert (await world.row(created.intent_id))["status"] == "awaiting_authorisation"
    await world.pass_time(1)
    (updated,) = await world.collect(IntentUpdatedV1)
    assert (updated.status, updated.reason, updated.next_step) == ("expired", "expired", None)
    (spent,) = await world.rows("SELECT amount, gas FROM spending")
    assert (spent["amount"], spent["gas"]) == (0, 0)


async def test_one_trace_runs_through_the_life_of_an_intent(world: World) -> None:
    world.approve()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    command = world.create()
    await world.broker.probe.publish(command, traceparent=trace)
    (created,) = await world.collect(IntentCreatedV1)
    await world.publish(world.authorise(created))
    await world.collect(IntentDueV1)
    rows = await world.rows("SELECT sequence_key, traceparent, causation_id FROM outbox ORDER BY position")
    assert len(rows) == 3
    assert {row["traceparent"] for row in rows} == {trace}
    assert all(row["causation_id"] for row in rows)


async def test_a_batch_of_many_is_one_question_to_the_chain(run_intent: RunIntent) -> None:
    async with run_intent() as world:
        commands = [world.create(amount=number) for number in range(1, 201)]
        await world.publish(*commands)
        await world.parked(200)  # they wait for their user, and are then judged together
        asked_before = len(world.monitor.questions)
        await world.register()
        created = await world.collect(IntentCreatedV1, 117)  # 20,000,000 of gas a day
        assert {item.amount for item in created} == set(range(1, 118))
        rejected = await world.collect(IntentRejectedV1, 83)
        assert {item.code for item in rejected} == {"sponsored_fees_exhausted"}
        assert len(world.monitor.questions) - asked_before <= 3
        world.approve()
        await world.publish(*(world.authorise(item) for item in created))
        due = await world.collect(IntentDueV1, 117)
        assert len({item.payment_id for item in due}) == 117
        assert {order_of(item.order) for item in due} == {order_of(item.order) for item in created}


async def test_an_intent_is_held_back_and_let_go_by_command(world: World) -> None:
    world.approve()
    created = await world.created(not_before=world.clock.now() + timedelta(hours=1))
    await world.publish(world.authorise(created))
    await world.status(created.intent_id, "armed")
    names = {"intent_id": created.intent_id, "user_id": world.user_id}
    pause = IntentPauseV1(**names, request_id=uuid4())
    await world.publish(pause, IntentPauseV1(**names, request_id=uuid4()))
    updates = await world.collect(IntentUpdatedV1, 3)
    assert updates[1].request_id == pause.request_id
    assert (await world.row(created.intent_id))["paused"]
    await world.pass_time(7_200)
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 0
    stranger = IntentResumeV1(intent_id=created.intent_id, user_id=uuid4(), request_id=uuid4())
    await world.publish(stranger)
    (rejected,) = await world.collect(IntentRejectedV1)
    assert (rejected.command, rejected.code, rejected.request_id) == (
        "resume", "not_found", stranger.request_id,
    )  # fmt: skip
    await world.publish(IntentResumeV1(**names, request_id=uuid4()))
    await world.collect(IntentDueV1)
    late = IntentPauseV1(**names, request_id=uuid4())
    await world.publish(late)
    assert (await world.collect(IntentRejectedV1, 2))[1].code == "not_pausable"
