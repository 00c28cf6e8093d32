"""A model of the nonce lane: database, workers, node and chain as values, every order of events a path.

Whatever the lane decides is decided here by its own functions: `snowrail_settlement.domain.lane` and `.item`,
`snowrail_chain.lane`. The model adds what those stand on: what commits together, what a crash forgets, what
nodes and chains do. Two workers run the same lane at once, without the lock that keeps them apart in
production: safety must not rest on it. Each guard can be switched off, to see what it is for.
"""

from collections.abc import Callable, Iterator

from snowrail_chain.lane import (
    SendVerdict,
    TransactionEvent,
    TransactionState,
    after_transaction_event,
    judge_nonce,
    judge_send,
    reconcile_nonces,
)
from snowrail_chain.send import SendOutcome
from snowrail_settlement.domain.item import (
    Evidence,
    Execution,
    ItemEvent,
    ItemState,
    OwnTransaction,
    after_item_event,
    steps_by_evidence,
)
from snowrail_settlement.domain.lane import (
    FactStatus,
    LaneState,
    Move,
    Sending,
    after_doubt,
    after_refusal,
    event_of_fact,
    is_at_its_limit,
    is_foreign,
    may_sign_more,
    may_take_nonce,
    must_ask,
    must_freeze,
    next_move,
)

from .lane_model_chain import chain_steps
from .lane_model_operator import bid_again, bids_above, operator_steps
from .lane_model_state import (
    ALL_GUARDS,
    CEILING,
    FOREIGN,
    HIGHEST_FEE,
    LONG_SECONDS,
    RISEN_BASE_FEE,
    TIMING,
    Doing,
    Fact,
    Guard,
    Item,
    Signed,
    State,
    Worker,
    basis_of,
    given_up,
    is_signed,
    lost_for_good,
    node_answer,
    open_transactions,
    reserved_nonces,
    with_attempt,
    with_item,
    with_tx,
)

Step = tuple[str, State]
_Then = Callable[..., State]
_IDLE = Worker()


def _order(worker: Worker) -> tuple[str, int, str, int]:
    return worker.doing, worker.about, worker.event or "", worker.nonce


_EXECUTIONS = (ItemEvent.SEEN_EXECUTED, ItemEvent.EXECUTED)


class Model:
    """The lane with these guards in place."""

    def __init__(self, guards: frozenset[Guard] = ALL_GUARDS) -> None:
        self._guards = guards

    def steps(self, state: State) -> Iterator[Step]:
        """Every event that can happen next, with what it makes of the state."""
        yield from chain_steps(state, self._guards)
        yield from self._bus_steps(state)
        yield from operator_steps(state, self._guards)
        for number, worker in enumerate(state.workers):
            if worker in state.workers[:number]:
                continue  # the same worker twice leads to the same
            for label, following in self._worker_steps(state, number, worker):
                yield label, following._replace(workers=tuple(sorted(following.workers, key=_order)))

    # commands and facts

    def _bus_steps(self, state: State) -> Iterator[Step]:
        budget = state.budget
        for number, fact in enumerate(state.news):
            rest = state._replace(news=state.news[:number] + state.news[number + 1 :])
            label = f"fact {fact.version} arrives: transaction {fact.tx} {fact.status}"
            yield label, self._learn(rest, fact)
            if budget.duplicates:
                twice = state._replace(budget=budget.spend("duplicates"))
                yield f"{label}, and will again", self._learn(twice, fact)
        newest = {item.payment: item for item in state.items}
        for payment, item in newest.items():
            if budget.duplicates and Guard.COMMAND_ONCE not in self._guards:
                spent = state._replace(budget=budget.spend("duplicates"))
                yield f"the command of payment {payment} arrives again", with_attempt(spent, payment)
            if budget.attempts:
                is_free = item.state is ItemState.FAILED or Guard.OCCURRENCE_ONCE not in self._guards
                if is_free:
                    spent = state._replace(budget=budget.spend("attempts"))
                    yield f"another attempt of payment {payment}", with_attempt(spent, payment)
        for number, item in enumerate(state.items):
            if item.state in (ItemState.ASSIGNED, ItemState.SUBMITTED) and is_signed(state, item):
                event = ItemEvent.CANNOT_TELL
                if Guard.TIME_DECIDES_NOTHING not in self._guards:
                    event = ItemEvent.FAILED
                doubtful = item._replace(state=after_item_event(item.state, event))
                yield f"item {number} was silent for long", with_item(state, number, doubtful)
        if any(signed.is_recent for signed in state.txs):
            calm = tuple(signed._replace(is_recent=False) for signed in state.txs)
            yield "time passes", state._replace(txs=calm)

    def _learn(self, state: State, fact: Fact) -> State:
        known = {old.tx: old for old in state.known}
        old = known.get(fact.tx)
        if old is not None and old.version > fact.version and Guard.NEWEST_FACT in self._guards:
            return state
        known[fact.tx] = fact
        txs, own = list(state.txs), set[str]()
        for number, signed in enumerate(state.txs):
            if signed.nonce != fact.nonce or not signed.is_stored:
                continue
            if not signed.cancels or Guard.CANCELLATION_IS_OURS in self._guards:
                own.add(str(number))
            event = event_of_fact(number == fact.tx, fact.status, signed.state)
            if event is not None:
                txs[number] = signed._replace(state=after_transaction_event(signed.state, event))
        state = state._replace(known=tuple(known[tx] for tx in sorted(known)), txs=tuple(txs))
        if is_foreign(fact.status, str(fact.tx), own) and fact.nonce not in state.foreign:
            state = state._replace(foreign=state.foreign | {fact.nonce})
            if Guard.FOREIGN_FREEZES in self._guards:
                state = state._replace(lane=LaneState.FROZEN)
        touched = [
            number
            for number, item in enumerate(state.items)
            if item.nonce == fact.nonce or item.payment in fact.paid
        ]
        return self._settled(state, touched)

    def _settled(self, state: State, numbers: list[int]) -> State:
        """Bring items to what the facts say, as `usecases.facts.settle` does."""
        for number in numbers:
            item = state.items[number]
            if any(later.payment == item.payment for later in state.items[number + 1 :]):
                continue  # a later attempt holds the occurrence
            evidence = self._evidence(state, item)
            for step in steps_by_evidence(item.state, item.basis, item.nonce is not None, evidence):
                if item.state is ItemState.ASSIGNED and step.event in _EXECUTIONS:
                    item = item._replace(state=after_item_event(item.state, ItemEvent.SUBMITTED))
                lost = step.event in (ItemEvent.EVIDENCE_LOST, ItemEvent.EVIDENCE_LOST_UNSENT)
                basis = None if lost else step.basis or item.basis
                item = item._replace(state=after_item_event(item.state, step.event), basis=basis)
            state = with_item(state, number, item)
        return state

    def _evidence(self, state: State, item: Item) -> Evidence:
        standing = [fact for fact in state.known if fact.status is not FactStatus.ORPHANED]
        execution = own = None
        paying = [fact for fact in standing if item.payment in fact.paid]
        if paying:
            best = max(paying, key=lambda fact: (fact.status is FactStatus.FINAL, fact.version))
            is_final = best.status is FactStatus.FINAL
            execution = Execution(basis_of(best), best.block, 0, is_final, 1, 0)
        ending = [
            fact
            for fact in standing
            if fact.nonce == item.nonce
            and (fact.status is FactStatus.FINAL or Guard.FAILURE_IS_FINAL not in self._guards)
        ]
        if ending:
            last = max(ending, key=lambda fact: fact.version)
            is_ours = last.tx != FOREIGN and state.txs[last.tx].is_stored
            if is_ours and Guard.CANCELLATION_PAYS_NOBODY in self._guards:
                is_ours = not state.txs[last.tx].cancels
            own = OwnTransaction(basis_of(last), is_ours, last.succeeded, None)
        return Evidence(execution, own)

    # the workers

    def _worker_steps(self, state: State, number: int, worker: Worker) -> Iterator[Step]:
        def then(following: State, next_worker: Worker = _IDLE) -> State:
            workers = following.workers
            return following._replace(workers=(*workers[:number], next_worker, *workers[number + 1 :]))

        if worker.doing is not Doing.NOTHING and state.budget.crashes:
            yield "a worker crashes", then(state._replace(budget=state.budget.spend("crashes")))
        match worker.doing:
            case Doing.NOTHING:
                for label, following, plan in self._plans(state):
                    yield label, then(following, plan)
            case Doing.SEND:
                for label, following, plan in self._sent(state, worker.about):
                    yield label, then(following, plan)
            case Doing.RECORD:
                yield (
                    f"written down: transaction {worker.about} {worker.event}",
                    then(self._recorded(state, worker)),
                )
            case Doing.REPLACE:
                yield f"a replacement of transaction {worker.about}", then(self._replaced(state, worker))
            case Doing.TAKE:
                yield f"item {worker.about} takes a nonce", then(self._taken(state, worker))
            case Doing.SIGN:
                yield f"nonce {worker.nonce} is signed for", self._signed(state, worker, then)
            case Doing.STORE:
                late = state.txs[worker.about]._replace(is_stored=True)
                yield f"transaction {worker.about} is stored", then(with_tx(state, worker.about, late))

    def _plans(self, state: State) -> Iterator[tuple[str, State, Worker]]:
        """What a pass would do next, as `usecases.lane` and `usecases.sending` choose it."""
        for label, following in self._reconciled(state):
            yield label, following, _IDLE
        flying = open_transactions(state)
        is_held_up = False
        for position, tx in enumerate(flying):
            move, is_at_limit = self._move(state, tx, is_lowest=position == 0)
            if move is Move.HOLD or is_at_limit:
                is_held_up = True
                if Guard.NONCE_ORDER in self._guards and move is not Move.SEND:
                    return
            if move is Move.SEND:
                yield f"a worker will send transaction {tx}", state, Worker(Doing.SEND, tx)
                if Guard.NONCE_ORDER in self._guards:
                    return
            elif move is Move.REPLACE:
                yield f"a worker will replace transaction {tx}", state, Worker(Doing.REPLACE, tx)
                return
        reserved = reserved_nonces(state)
        for nonce in reserved[:1]:
            yield f"a worker will sign for nonce {nonce}", state, Worker(Doing.SIGN, nonce=nonce)
            if Guard.RESERVATION_IS_KEPT not in self._guards:
                yield f"nonce {nonce} is given up", given_up(state, nonce), _IDLE
        limit = self._limit(state)
        if may_sign_more(state.lane, is_held_up, len(reserved), len(flying), limit):
            for number, item in enumerate(state.items):
                if item.state is ItemState.CREATED:
                    plan = Worker(Doing.TAKE, number, nonce=state.next_nonce)
                    yield f"a worker has read item {number}", state, plan

    def _reconciled(self, state: State) -> Iterator[Step]:
        """What comes of looking at the account's nonce."""
        acknowledged = state.acknowledged
        if Guard.FOREIGN_IS_FINAL in self._guards:
            acknowledged &= lost_for_good(state)
        view = reconcile_nonces(state.next_nonce, len(state.chain), acknowledged)
        if view.foreign_nonce is None and view.next_nonce > state.next_nonce:
            yield "nonces used elsewhere are left out", state._replace(next_nonce=view.next_nonce)
        may_freeze = state.lane is not LaneState.FROZEN and Guard.FOREIGN_FREEZES in self._guards
        if view.foreign_nonce is not None and may_freeze:
            yield "the account is past the lane", state._replace(lane=LaneState.FROZEN)

    def _move(self, state: State, tx: int, is_lowest: bool) -> tuple[Move, bool]:
        """What is due about a transaction, and whether it should pay more and may not."""
        signed = state.txs[tx]
        if signed.state is TransactionState.ORPHANED and Guard.ORPHANS_GO_AGAIN not in self._guards:
            return Move.REST, False
        if signed.state is TransactionState.BROADCAST and Guard.QUIET_GOES_AGAIN not in self._guards:
            return Move.REST, False
        quiet = 0.0 if signed.is_recent else LONG_SECONDS
        sending = Sending(
            state=signed.state,
            was_refused=signed.was_refused,
            quiet_seconds=quiet,
            age_seconds=quiet,
            is_lowest=is_lowest,
            is_resending=False,
            is_replaceable=state.is_replaceable,
            may_pay_more=self._may_pay_more(signed),
        )
        is_at_limit = is_at_its_limit(sending, TIMING)
        if is_at_limit and Guard.LIMIT_GOES_AGAIN not in self._guards:
            return Move.HOLD, True
        return next_move(sending, TIMING), is_at_limit

    def _may_pay_more(self, signed: Signed) -> bool:
        if signed.cancels and Guard.CANCELLATION_STANDS in self._guards:
            return False
        return bids_above(signed, RISEN_BASE_FEE, self._ceiling(signed)) is not None

    def _ceiling(self, signed: Signed) -> int:
        is_kept = Guard.FEE_CEILING in self._guards and not signed.cancels
        return CEILING if is_kept else HIGHEST_FEE

    def _sent(self, state: State, tx: int) -> Iterator[tuple[str, State, Worker]]:
        signed = state.txs[tx]
        state = with_tx(state, tx, signed._replace(was_sent=True))
        outcome, pool = node_answer(state, tx)
        after = state._replace(pool=pool)
        yield f"transaction {tx} is sent: {outcome}", *self._judged(after, tx, outcome)
        if state.budget.timeouts:
            spent = state._replace(budget=state.budget.spend("timeouts"))
            for reached, lost in ((True, spent._replace(pool=pool)), (False, spent)):
                label = f"transaction {tx} is sent, no answer, {'taken' if reached else 'lost'}"
                yield label, *self._judged(lost, tx, SendOutcome.UNKNOWN)

    def _judged(self, state: State, tx: int, outcome: SendOutcome) -> tuple[State, Worker]:
        signed, verdict = state.txs[tx], judge_send(outcome)
        on_chain = {block.tx for block in state.chain}
        event = TransactionEvent.ACCEPTED
        if verdict is SendVerdict.REFUSED:
            was_asked = must_ask(verdict, signed.state)
            event = after_refusal(was_asked, tx in state.pool or tx in on_chain)
        elif verdict is SendVerdict.ASK:
            own = {number for number, other in enumerate(state.txs) if other.nonce == signed.nonce}
            knows = bool(own & (state.pool | on_chain))
            nonce_verdict = judge_nonce(signed.nonce, len(state.chain), knows)
            taker = [
                fact
                for fact in state.known
                if fact.nonce == signed.nonce and fact.status is FactStatus.FINAL and fact.tx not in own
            ]
            event = after_doubt(nonce_verdict, bool(taker))
            freezes = must_freeze(nonce_verdict, event, LONG_SECONDS, TIMING)
            if freezes and Guard.FOREIGN_FREEZES in self._guards:
                state = state._replace(lane=LaneState.FROZEN)
        refused = event is not TransactionEvent.ACCEPTED
        return state, Worker(Doing.RECORD, tx, event, refused)

    def _recorded(self, state: State, worker: Worker) -> State:
        signed, event = state.txs[worker.about], worker.event
        assert event is not None, "an answer means something"
        after = signed._replace(
            state=after_transaction_event(signed.state, event), was_refused=worker.refused, is_recent=True
        )
        state = with_tx(state, worker.about, after)
        aboard = [number for number, item in enumerate(state.items) if item.nonce == signed.nonce]
        if event is TransactionEvent.NONCE_LOST:
            return self._settled(state, aboard)
        if signed.cancels or event is TransactionEvent.REFUSED:
            return state
        for number in aboard:
            item = state.items[number]
            if item.state is ItemState.ASSIGNED:
                submitted = after_item_event(item.state, ItemEvent.SUBMITTED)
                state = with_item(state, number, item._replace(state=submitted))
        return state

    def _replaced(self, state: State, worker: Worker) -> State:
        old = state.txs[worker.about]
        rivals = [other for other in state.txs if other.nonce == old.nonce]
        is_newest = old.fee == max(other.fee for other in rivals)
        if not is_newest and Guard.NEWEST_IS_REPLACED in self._guards:
            return state
        cargo = old.cargo if Guard.SAME_EFFECT in self._guards else ()
        return bid_again(state, worker.about, RISEN_BASE_FEE, self._ceiling(old), cargo)

    def _taken(self, state: State, worker: Worker) -> State:
        item, nonce = state.items[worker.about], state.next_nonce
        if Guard.ONE_TAKER_OF_A_NONCE not in self._guards:
            nonce = worker.nonce  # as it was when it was read
        standing = (fact for fact in state.known if fact.status is not FactStatus.ORPHANED)
        is_used = any(fact.nonce == nonce for fact in standing)
        in_flight = len(open_transactions(state)) + len(reserved_nonces(state))
        lane = state.lane if Guard.STOPPED_TAKES_NOTHING in self._guards else LaneState.ACTIVE
        if not may_take_nonce(lane, is_used, in_flight, self._limit(state)):
            return state
        if item.state is not ItemState.CREATED and Guard.ITEMS_ARE_CLAIMED in self._guards:
            return state
        assigned = item._replace(state=ItemState.ASSIGNED, nonce=nonce, basis=None)
        taken = state._replace(
            reserved=(*state.reserved, (nonce, (item.payment,))),
            next_nonce=max(state.next_nonce, nonce + 1),
            took_while_stopped=state.lane is not LaneState.ACTIVE,
        )
        return with_item(taken, worker.about, assigned)

    def _limit(self, state: State) -> int:
        return state.in_flight_limit if Guard.IN_FLIGHT_LIMIT in self._guards else len(state.items)

    def _signed(self, state: State, worker: Worker, then: _Then) -> State:
        cargo = dict(state.reserved).get(worker.nonce)
        if cargo is None:
            return then(state)  # the other worker has signed
        rest = tuple(entry for entry in state.reserved if entry != (worker.nonce, cargo))
        signed = Signed(worker.nonce, cargo, 100)
        if Guard.BYTES_BEFORE_BROADCAST in self._guards:
            return then(state._replace(reserved=rest, txs=(*state.txs, signed)))
        number = len(state.txs)
        sent = signed._replace(is_stored=False, was_sent=True)
        flown = state._replace(reserved=rest, txs=(*state.txs, sent), pool=state.pool | {number})
        return then(flown, Worker(Doing.STORE, number))
