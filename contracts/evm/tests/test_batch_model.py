"""Batch payouts against a model: random batches, runs, times and hostile parties, in any sequence.

The model, written apart from the contract, predicts every payment, every failure and every balance.
"""

from dataclasses import dataclass, field

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

from snowrail_chain.abi import cancel_batch_calldata, fund_batch_calldata, return_unspent_calldata
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.manifest import PayoutRow

from .batches import Batch, Payouts
from .chains import START_TIME, Chain, address_of
from .test_hostile import REVERT, configure
from .test_nasty_tokens import BURNS_GAS, HONEST, PAUSED, RETURNS_FALSE, REVERTS_HUGE, behave
from .world import RICH, World, call, malleated, person

PAYERS = [person("alice"), person("carol")]
PAYEES = [address_of("bob"), address_of("dave"), address_of("erin")]
STRANGER = address_of("stranger")
TREASURY = address_of("treasury")
MAX_BATCHES = 4
REFUSING = [RETURNS_FALSE, REVERTS_HUGE, BURNS_GAS, PAUSED]
BATCH_INDEXES = st.integers(0, MAX_BATCHES - 1)
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 5_000)), min_size=1, max_size=9
)


@dataclass
class BatchModel:
    """What the model remembers of a batch; money by token."""

    batch: Batch
    funded: bool = False
    cancelled: bool = False
    paid: set[int] = field(default_factory=set[int])
    amounts: dict[str, int] = field(default_factory=dict[str, int])
    fees: dict[str, int] = field(default_factory=dict[str, int])


class BatchMachine(RuleBasedStateMachine):
    """Drives the contract and the model side by side."""

    chain: Chain

    @initialize()
    def begin(self) -> None:
        self.world = World(self.chain)
        self.payouts = Payouts(self.world)
        self.nasty = self.world.deploy("NastyToken")
        self.hostile = self.world.deploy("HostileRecipient")
        self.tokens = [NATIVE_TOKEN, self.world.usdt, self.nasty]
        self.recipients = [*PAYEES, self.hostile]
        self.models: list[BatchModel] = []
        self.now = START_TIME
        self.paused = self.refusing = False
        self.behaviour = HONEST
        self.basis_points = 0
        self.accrued = dict.fromkeys(self.tokens, 0)
        holders = [*self.recipients, TREASURY, *(payer.address for payer in PAYERS)]
        self.balances = {(token, holder): 0 for token in self.tokens for holder in holders}
        for payer in PAYERS:
            self.chain.set_balance(payer.address, RICH)
            self.balances[NATIVE_TOKEN, payer.address] = RICH
            for token in self.tokens[1:]:
                self.world.mint(token, payer.address, 10**6)
                self.world.approve(token, payer.address, 10**9, self.payouts.address)
                self.balances[token, payer.address] = 10**6

    # ------------------------------------------------------------------------------------- what may happen

    @precondition(lambda self: len(self.models) < MAX_BATCHES)
    @rule(
        payer=st.sampled_from(PAYERS),
        rows=ROWS,
        max_fee=st.sampled_from([0, 3, 1_000]),
        lasts=st.sampled_from([60, 5_000, 5_000]),
        max_gas_price=st.sampled_from([1, 9, 9]),
    )
    def sign(
        self,
        payer: object,
        rows: list[tuple[int, int, int]],
        max_fee: int,
        lasts: int,
        max_gas_price: int,
    ) -> None:
        made = [
            PayoutRow(self.recipients[recipient], self.tokens[token], amount)
            for recipient, token, amount in rows
        ]
        chosen = next(person for person in PAYERS if person is payer)
        batch = Batch(
            chosen,
            made,
            dict.fromkeys(self.tokens, max_fee),
            salt=len(self.models).to_bytes(32, "big"),
            valid_after=self.now,
            valid_until=self.now + lasts,
            max_gas_price=max_gas_price,
        )
        self.models.append(BatchModel(batch))

    @precondition(lambda self: self.models)
    @rule(index=BATCH_INDEXES, by=st.sampled_from(["payer", "payer", "signature", "malleated", "nobody"]))
    def fund(self, index: int, by: str) -> None:
        model = self.models[index % len(self.models)]
        batch, payer = model.batch, model.batch.payer
        right = self.payouts.sign(payer, batch)
        signature = {"signature": right, "malleated": malleated(right)}.get(by, b"")
        sender = payer.address if by == "payer" else STRANGER
        value = batch.value() if by == "payer" else 0
        data = fund_batch_calldata(batch.manifest, signature=signature)
        outcome = self.chain.send(sender, self.payouts.address, data, value=value)
        totals = {total.token: total.amount + total.max_fee for total in batch.manifest.totals}
        allowed = not model.funded and not model.cancelled and self.now <= batch.manifest.valid_until
        allowed = allowed and (by == "payer" or (by == "signature" and NATIVE_TOKEN not in totals))
        allowed = allowed and (self.behaviour == HONEST or self.nasty not in totals)
        allowed = allowed and all(
            self.balances[token, payer.address] >= amount for token, amount in totals.items()
        )
        assert outcome.success == allowed
        if not allowed:
            return
        model.funded = True
        model.amounts = {total.token: total.amount for total in batch.manifest.totals}
        model.fees = {total.token: total.max_fee for total in batch.manifest.totals}
        for token, amount in totals.items():
            self.balances[token, payer.address] -= amount

    @precondition(lambda self: self.models)
    @rule(
        index=BATCH_INDEXES,
        height=st.integers(0, 4),
        position=st.integers(0, 8),
        gas_price=st.sampled_from([1, 1, 1, 2]),
        by_executor=st.sampled_from([True, True, True, False]),
    )
    def pay(self, index: int, height: int, position: int, gas_price: int, by_executor: bool) -> None:
        model = self.models[index % len(self.models)]
        rows, manifest = model.batch.rows, model.batch.manifest
        first_index = position % (((len(rows) - 1) >> height) + 1) << height
        run = range(first_index, min(first_index + (1 << height), len(rows)))
        sender = self.world.executor if by_executor else STRANGER
        self.chain.set_balance(sender, RICH)
        data = model.batch.run(first_index, len(run))
        outcome = self.chain.send(sender, self.payouts.address, data, gas_price=gas_price)
        tried = [row for row in run if row not in model.paid]
        open_now = model.funded and not model.cancelled and self.now <= manifest.valid_until
        allowed = by_executor and not self.paused and open_now and gas_price <= manifest.max_gas_price
        assert outcome.success == bool(allowed and tried)
        if not outcome.success:
            return
        expected = [row for row in tried if self._is_payable(rows[row])]
        assert self.payouts.paid(outcome) == expected
        assert sorted(self.payouts.failed(outcome)) == sorted(set(tried) - set(expected))
        for number in expected:
            row = rows[number]
            fee = min(model.fees[row.token], row.amount * self.basis_points // 10_000)
            model.paid.add(number)
            model.amounts[row.token] -= row.amount
            model.fees[row.token] -= fee
            self.accrued[row.token] += fee
            self.balances[row.token, row.recipient] += row.amount

    def _is_payable(self, row: PayoutRow) -> bool:
        if row.token == NATIVE_TOKEN:
            return row.recipient != self.hostile or not self.refusing
        return row.token != self.nasty or self.behaviour == HONEST

    @precondition(lambda self: self.models)
    @rule(index=BATCH_INDEXES, by_payer=st.sampled_from([True, False]))
    def cancel(self, index: int, by_payer: bool) -> None:
        model = self.models[index % len(self.models)]
        sender = model.batch.payer.address if by_payer else STRANGER
        data = cancel_batch_calldata(model.batch.manifest)
        outcome = self.chain.send(sender, self.payouts.address, data)
        assert outcome.success == (by_payer and (not model.cancelled or self._returnable(model)))
        if outcome.success:
            model.cancelled = True
            self._give_back(model)

    @precondition(lambda self: self.models)
    @rule(index=BATCH_INDEXES)
    def return_unspent(self, index: int) -> None:
        model = self.models[index % len(self.models)]
        data = return_unspent_calldata(model.batch.manifest)
        outcome = self.chain.send(STRANGER, self.payouts.address, data)
        over = self.now > model.batch.manifest.valid_until or len(model.paid) == len(model.batch.rows)
        assert outcome.success == (over and self._returnable(model))
        if outcome.success:
            self._give_back(model)

    def _returnable(self, model: BatchModel) -> bool:
        return any(
            model.amounts[token] + model.fees[token] > 0
            for token in model.amounts
            if token != self.nasty or self.behaviour == HONEST
        )

    def _give_back(self, model: BatchModel) -> None:
        for token in model.amounts:
            if token == self.nasty and self.behaviour != HONEST:
                continue
            self.balances[token, model.batch.payer.address] += model.amounts[token] + model.fees[token]
            model.amounts[token] = model.fees[token] = 0

    @rule(seconds=st.integers(1, 90))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.chain.set_time(self.now)

    @rule(behaviour=st.sampled_from([HONEST, HONEST, *REFUSING]))
    def change_token(self, behaviour: int) -> None:
        behave(self.world, self.nasty, behaviour)
        self.behaviour = behaviour

    @rule(refusing=st.sampled_from([True, False]))
    def change_recipient(self, refusing: bool) -> None:
        configure(self.world, self.hostile, REVERT if refusing else 0)
        self.refusing = refusing

    @rule(paused=st.sampled_from([True, False, False]))
    def pause(self, paused: bool) -> None:
        if paused != self.paused:
            data = call("pause()" if paused else "unpause()")
            self.world.must(self.world.admin, self.payouts.address, data)
            self.paused = paused

    @rule(basis_points=st.sampled_from([0, 1, 100]))
    def set_fee(self, basis_points: int) -> None:
        data = call("setFee(address,uint256)", TREASURY, basis_points)
        self.world.must(self.world.admin, self.payouts.address, data)
        self.basis_points = basis_points

    @rule(token_index=st.integers(0, 1))
    def withdraw_fees(self, token_index: int) -> None:
        token = self.tokens[token_index]
        if self.accrued[token]:
            self.world.must(STRANGER, self.payouts.address, call("withdrawFees(address)", token))
            self.balances[token, TREASURY] += self.accrued[token]
            self.accrued[token] = 0

    # ------------------------------------------------------------------------------- what must always hold

    @invariant()
    def everything_agrees(self) -> None:
        for (token, holder), amount in self.balances.items():
            assert self.world.token_balance(token, holder) == amount
        for model in self.models:
            assert self.payouts.paid_indexes(model.batch) == model.paid
            state = self.payouts.state(model.batch)
            assert (state.paid, state.funded, state.cancelled) == (
                len(model.paid),
                model.funded,
                model.cancelled,
            )
            for token in model.amounts:
                left = (model.amounts[token], model.fees[token])
                assert self.payouts.remainder(model.batch, token) == left
        for token in self.tokens:
            held = sum(model.amounts.get(token, 0) + model.fees.get(token, 0) for model in self.models)
            assert self.world.token_balance(token, self.payouts.address) == held + self.accrued[token]

    def teardown(self) -> None:
        """Whatever happened, paused or not, every payer gets out with all that is unpaid."""
        if not hasattr(self, "models"):
            return
        self.change_token(HONEST)
        for model in self.models:
            if not model.cancelled or self._returnable(model):
                self.payouts.cancel(model.batch)
                model.cancelled = True
                self._give_back(model)
        self.everything_agrees()
        for token in self.tokens:
            assert self.world.token_balance(token, self.payouts.address) == self.accrued[token]


def test_batch_payouts_follow_their_model(chain: Chain) -> None:
    machine = type("Machine", (BatchMachine,), {"chain": chain})
    steps = 40 if chain.name == "pyrevm" else 15
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=steps))
