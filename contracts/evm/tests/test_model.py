"""The escrow against a model: random people, orders, times, gas prices and signatures, in any sequence.

The model predicts whether each call succeeds or with which error it fails, and every balance after it.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from snowrail_chain.abi import (
    Executed,
    ExecutionFailed,
    OrderState,
    cancel_calldata,
    execute_calldata,
    explain_revert,
    return_expired_calldata,
)
from snowrail_chain.eip712 import order_hash

from .chains import Chain
from .model import (
    MAX_ORDERS,
    PAYERS,
    RECIPIENTS,
    START_BALANCE,
    STRANGER,
    TREASURY,
    Attempt,
    EscrowModel,
)
from .world import call

GAS_PRICES = st.sampled_from([1, 1, 1, 2, 5])
ORDER_INDEXES = st.integers(0, MAX_ORDERS - 1)
SIGNATURES = st.sampled_from([*["right"] * 8, "none", "none", "foreign", "malleated", "other order"])
ATTEMPTS = st.builds(Attempt, ORDER_INDEXES, st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1]), SIGNATURES)


class EscrowMachine(EscrowModel, RuleBasedStateMachine):
    """Drives the escrow and the model side by side."""

    chain: Chain

    @initialize()
    def begin(self) -> None:
        self.begin_anew(self.chain)

    # ------------------------------------------------------------------------------------- what may happen

    @precondition(lambda self: len(self.orders) < MAX_ORDERS)
    @rule(
        payer=st.sampled_from(PAYERS),
        recipient=st.sampled_from(RECIPIENTS),
        token_index=st.integers(0, 2),
        amount=st.integers(1, 12_000),
        opens_in=st.sampled_from([-50, -10, 0, 0, 0, 30]),
        lasts=st.sampled_from([0, 60, 200, 1_000, 1_000]),
        max_gas_price=st.sampled_from([1, 2, 9, 9, 9]),
        safety_buffer=st.sampled_from([0, 0, 0, 0, 20_000, START_BALANCE]),
        recurrence=st.sampled_from([(0, 1), (0, 1), (10, 3), (60, 2), (1, 40)]),
        max_fee=st.sampled_from([0, 0, 5, 1_000]),
    )
    def sign_order(
        self,
        payer: Any,
        recipient: str,
        token_index: int,
        amount: int,
        opens_in: int,
        lasts: int,
        max_gas_price: int,
        safety_buffer: int,
        recurrence: tuple[int, int],
        max_fee: int,
    ) -> None:
        self.add_order(
            payer.address,
            recipient,
            self.tokens[token_index],
            amount=amount,
            recurrence=recurrence,
            opens_in=opens_in,
            lasts=lasts,
            max_gas_price=max_gas_price,
            safety_buffer=safety_buffer,
            max_fee=max_fee,
        )

    @rule(seconds=st.integers(1, 90))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.world.chain.set_time(self.now)

    @rule(payer=st.sampled_from(PAYERS), token_index=st.integers(1, 2), amount=st.integers(0, 30_000))
    def allow(self, payer: Any, token_index: int, amount: int) -> None:
        token = self.tokens[token_index]
        if self.allowances[token, payer.address]:  # the token that returns nothing wants a zero in between
            self.world.approve(token, payer.address, 0)
        self.world.approve(token, payer.address, amount)
        self.allowances[token, payer.address] = amount

    @rule(
        order_index=ORDER_INDEXES,
        amount=st.integers(0, 30_000),
        whole=st.sampled_from([True, True, False]),
        by_payer=st.sampled_from([True, True, False]),
    )
    def pay_in(self, order_index: int, amount: int, whole: bool, by_payer: bool) -> None:
        order, _ = self.chosen(order_index)
        self.put_in(order_index, order.amount + order.max_fee if whole else amount, by_payer=by_payer)

    @rule(attempt=ATTEMPTS, gas_price=GAS_PRICES, by_executor=st.sampled_from([True, True, True, False]))
    def execute(self, attempt: Attempt, gas_price: int, by_executor: bool) -> None:
        execution = self.execution(attempt)
        sender = self.world.executor if by_executor else STRANGER
        self.world.chain.set_balance(sender, 10**24)
        outcome = self.world.chain.send(
            sender, self.world.escrow, execute_calldata(execution), gas_price=gas_price
        )
        error = (
            "AccessControlUnauthorizedAccount" if not by_executor
            else "EnforcedPause" if self.paused
            else self.execution_error(attempt, execution, gas_price)
        )  # fmt: skip
        if self.agrees(outcome, error):
            self.apply(*self.chosen(attempt.order_index))

    @rule(attempts=st.lists(ATTEMPTS, min_size=1, max_size=6), gas_price=GAS_PRICES)
    def execute_many(self, attempts: list[Attempt], gas_price: int) -> None:
        items = [self.execution(attempt) for attempt in attempts]
        outcome = self.world.execute_many(items, gas_price=gas_price)
        if not self.agrees(outcome, "EnforcedPause" if self.paused else None):
            return
        events = self.world.events(outcome)
        assert len(events) == len(items)
        for attempt, item, event in zip(attempts, items, events, strict=True):
            error = self.execution_error(attempt, item, gas_price)
            if error is None:
                assert isinstance(event, Executed)
                fee = self.fee(item.order)
                assert (event.order_hash, event.occurrence) == (order_hash(item.order), item.occurrence)
                assert (event.amount, event.fee) == (item.order.amount, fee)
                self.apply(*self.chosen(attempt.order_index))
            else:
                assert isinstance(event, ExecutionFailed)
                assert explain_revert(event.reason).name == error

    @rule(order_index=ORDER_INDEXES, by_payer=st.booleans())
    def cancel(self, order_index: int, by_payer: bool) -> None:
        order, model = self.chosen(order_index)
        outcome = self.send(order.payer if by_payer else STRANGER, cancel_calldata(order))
        error = "NotPayer" if not by_payer else "OrderCancelled" if model.cancelled else None
        if self.agrees(outcome, error):
            model.cancelled = True
            self.give_back(order, model)

    @rule(order_index=ORDER_INDEXES)
    def return_expired(self, order_index: int) -> None:
        order, model = self.chosen(order_index)
        outcome = self.send(STRANGER, return_expired_calldata(order))
        error = (
            "OrderNotExpired" if self.now <= order.valid_until
            else "NothingToMove" if model.deposited == 0
            else None
        )  # fmt: skip
        if self.agrees(outcome, error):
            self.give_back(order, model)

    @rule(paused=st.sampled_from([True, False, False, False]))
    def pause(self, paused: bool) -> None:
        if paused != self.paused:
            self.world.must(self.world.admin, self.world.escrow, call("pause()" if paused else "unpause()"))
            self.paused = paused

    @rule(basis_points=st.sampled_from([0, 1, 100]))
    def set_fee(self, basis_points: int) -> None:
        data = call("setFee(address,uint256)", TREASURY, basis_points)
        self.world.must(self.world.admin, self.world.escrow, data)
        self.fee_basis_points = basis_points

    @rule(token_index=st.integers(0, 2))
    def withdraw_fees(self, token_index: int) -> None:
        token = self.tokens[token_index]
        if self.fees[token]:
            self.world.must(STRANGER, self.world.escrow, call("withdrawFees(address)", token))
            self.balances[token, TREASURY] += self.fees[token]
            self.fees[token] = 0

    # ------------------------------------------------------------------------------- what must always hold

    @invariant()
    def everything_agrees(self) -> None:
        for (token, holder), amount in self.balances.items():
            assert self.world.token_balance(token, holder) == amount
        for order, model in zip(self.orders, self.models, strict=True):
            state = OrderState(model.executed, model.cancelled, model.authorised, model.deposited)
            assert self.world.state(order) == state
        for token in self.tokens:
            held = sum(
                model.deposited
                for order, model in zip(self.orders, self.models, strict=True)
                if order.token == token
            )
            assert self.world.token_balance(token, self.world.escrow) == held + self.fees[token]

    def teardown(self) -> None:
        """Whatever happened, paused or not, every payer gets out with all that is unspent."""
        for order, model in zip(self.orders, self.models, strict=True):
            if not model.cancelled:
                self.world.must(order.payer, self.world.escrow, cancel_calldata(order))
                model.cancelled = True
                self.give_back(order, model)
        if self.orders:
            self.everything_agrees()


def test_the_escrow_follows_its_model(chain: Chain) -> None:
    machine = type("Machine", (EscrowMachine,), {"chain": chain})
    steps = 40 if chain.name == "pyrevm" else 15
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=steps))
