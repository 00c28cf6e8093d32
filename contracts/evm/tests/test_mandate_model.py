"""Spending mandates against a model: whatever a delegate tries, never more than the signed limits leaves."""

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from snowrail_chain.abi import (
    authorise_calldata,
    explain_revert,
    prepay_calldata,
    revoke_calldata,
    withdraw_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN

from .chains import START_TIME, Chain, address_of
from .mandates import DELEGATE, LISTED, Mandates
from .world import RICH, World, call, malleated, person

ALICE = person("alice")
MALLORY = person("mallory")
STRANGERS = [address_of("stranger"), address_of("passer-by")]
TREASURY = address_of("treasury")
RECIPIENTS = [*LISTED[:2], *STRANGERS]
KINDS = [
    {},
    {"max_fee": 5},
    {"any_recipient": True, "unlisted_per_payment": 30, "unlisted_per_period": 70, "max_fee": 1},
    {"total": 400, "period": 60, "valid_until": START_TIME + 2_000},
]


class MandateMachine(RuleBasedStateMachine):
    """Drives the contract and the model side by side: four mandates of one payer, two of them in coin."""

    chain: Chain

    @initialize()
    def begin(self) -> None:
        self.world = World(self.chain)
        self.mandates = Mandates(self.world)
        self.tokens = [NATIVE_TOKEN, self.world.usdt]
        self.chain.set_balance(ALICE.address, RICH)
        self.world.mint(self.world.usdt, ALICE.address, 10**6)
        self.world.approve(self.world.usdt, ALICE.address, 10**6, self.mandates.address)
        self.signed = [
            self.mandates.mandate(ALICE.address, self.tokens[index % 2], **terms)
            for index, terms in enumerate(KINDS)
        ]
        self.now = START_TIME
        self.paused = False
        self.basis_points = 0
        self.prepaid = 0
        self.authorised: set[int] = set()
        self.revoked: set[int] = set()
        self.made: set[tuple[int, int]] = set()
        self.spent: dict[int, int] = defaultdict(int)
        self.in_period: dict[tuple[int, int], int] = defaultdict(int)
        self.unlisted: dict[tuple[int, int], int] = defaultdict(int)
        self.received: dict[tuple[str, str], int] = defaultdict(int)
        self.fees: dict[str, int] = defaultdict(int)
        self.wallet = 10**6

    # ------------------------------------------------------------------------------------- what may happen

    @rule(
        index=st.integers(0, 3),
        number=st.integers(0, 30),
        recipient=st.sampled_from(RECIPIENTS),
        amount=st.sampled_from([1, 20, 30, 31, 60, 99, 100, 101, 2**200]),
        signature=st.sampled_from(["right"] * 5 + ["none", "foreign", "malleated"]),
        by_delegate=st.sampled_from([True, True, True, True, False]),
    )
    def spend(
        self, index: int, number: int, recipient: str, amount: int, signature: str, by_delegate: bool
    ) -> None:
        mandate = self.signed[index]
        right = self.mandates.sign(ALICE, mandate)
        given = {
            "right": right,
            "none": b"",
            "foreign": self.mandates.sign(MALLORY, mandate),
            "malleated": malleated(right),
        }[signature]
        sender = DELEGATE if by_delegate else MALLORY.address
        self.chain.set_balance(sender, RICH)
        outcome = self.mandates.spend(
            mandate, amount, number=number, recipient=recipient, signature=given, sender=sender
        )
        fee = min(mandate.max_fee, amount * self.basis_points // 10_000)
        taken, period = amount + fee, (index, (self.now - mandate.valid_after) // mandate.period)
        listed = recipient in LISTED
        allowed = (
            by_delegate
            and not self.paused
            and index not in self.revoked
            and self.now <= mandate.valid_until
            and (index in self.authorised or signature == "right")
            and (index, number) not in self.made
            and taken <= mandate.per_payment
            and self.spent[index] + taken <= mandate.total
            and self.in_period[period] + taken <= mandate.per_period
            and (listed or taken <= mandate.unlisted_per_payment)
            and (listed or self.unlisted[period] + taken <= mandate.unlisted_per_period)
            and (mandate.token != NATIVE_TOKEN or taken <= self.prepaid)
        )
        assert outcome.success == allowed, explain_revert(outcome.output)
        if not allowed:
            return
        self.made.add((index, number))
        self.spent[index] += taken
        self.in_period[period] += taken
        self.unlisted[period] += 0 if listed else taken
        self.received[mandate.token, recipient] += amount
        self.fees[mandate.token] += fee
        if mandate.token == NATIVE_TOKEN:
            self.prepaid -= taken
        else:
            self.wallet -= taken

    @rule(amount=st.integers(1, 300))
    def prepay(self, amount: int) -> None:
        self.world.must(ALICE.address, self.mandates.address, prepay_calldata(), value=amount)
        self.prepaid += amount

    @rule(amount=st.integers(0, 300), by_payer=st.booleans())
    def withdraw(self, amount: int, by_payer: bool) -> None:
        before = self.chain.balance(ALICE.address)
        sender = ALICE.address if by_payer else MALLORY.address
        outcome = self.chain.send(sender, self.mandates.address, withdraw_calldata(amount))
        given_back = min(amount, self.prepaid) if by_payer else 0
        assert outcome.success == (given_back > 0)
        assert self.chain.balance(ALICE.address) == before + given_back
        self.prepaid -= given_back

    @rule(index=st.integers(0, 3), by_payer=st.booleans())
    def authorise(self, index: int, by_payer: bool) -> None:
        sender = ALICE.address if by_payer else MALLORY.address
        outcome = self.chain.send(sender, self.mandates.address, authorise_calldata(self.signed[index]))
        assert outcome.success == (by_payer and index not in self.revoked)
        if outcome.success:
            self.authorised.add(index)

    @rule(index=st.sampled_from([0, 1, 2, 3]), sure=st.integers(0, 9), by_payer=st.booleans())
    def revoke(self, index: int, sure: int, by_payer: bool) -> None:
        if sure:
            return  # seldom, or nothing would be left to spend
        sender = ALICE.address if by_payer else DELEGATE
        outcome = self.chain.send(sender, self.mandates.address, revoke_calldata(self.signed[index]))
        assert outcome.success == (by_payer and index not in self.revoked)
        if outcome.success:
            self.revoked.add(index)

    @rule(seconds=st.sampled_from([1, 30, 60, 900, 3_600]))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.chain.set_time(self.now)

    @rule(paused=st.sampled_from([True, False, False, False]))
    def pause(self, paused: bool) -> None:
        if paused != self.paused:
            data = call("pause()" if paused else "unpause()")
            self.world.must(self.world.admin, self.mandates.address, data)
            self.paused = paused

    @rule(basis_points=st.sampled_from([0, 100]))
    def set_fee(self, basis_points: int) -> None:
        data = call("setFee(address,uint256)", TREASURY, basis_points)
        self.world.must(self.world.admin, self.mandates.address, data)
        self.basis_points = basis_points

    # ------------------------------------------------------------------------------- what must always hold

    @invariant()
    def everything_agrees(self) -> None:
        for token in self.tokens:
            for recipient in RECIPIENTS:
                assert self.world.token_balance(token, recipient) == self.received[token, recipient]
        assert self.world.token_balance(self.world.usdt, ALICE.address) == self.wallet
        assert self.world.token_balance(self.world.usdt, self.mandates.address) == self.fees[self.world.usdt]
        assert self.mandates.prepaid(ALICE.address) == self.prepaid
        held = self.prepaid + self.fees[NATIVE_TOKEN]
        assert self.chain.balance(self.mandates.address) == held
        for index, mandate in enumerate(self.signed):
            state = self.mandates.state(mandate)
            assert state.spent == self.spent[index] <= mandate.total
            assert (state.authorised, state.revoked) == (index in self.authorised, index in self.revoked)

    def teardown(self) -> None:
        """Paused or not, the payer takes back every prepaid wei and ends every mandate."""
        if not getattr(self, "signed", None):
            return
        if self.prepaid:
            self.world.must(ALICE.address, self.mandates.address, withdraw_calldata(2**255))
        for index, mandate in enumerate(self.signed):
            if index not in self.revoked:
                self.world.must(ALICE.address, self.mandates.address, revoke_calldata(mandate))
            assert not self.mandates.spend(mandate, 1, number=99).success
        assert self.chain.balance(self.mandates.address) == self.fees[NATIVE_TOKEN]


def test_mandates_follow_their_model(chain: Chain) -> None:
    machine = type("Machine", (MandateMachine,), {"chain": chain})
    steps = 40 if chain.name == "pyrevm" else 15
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=steps))
