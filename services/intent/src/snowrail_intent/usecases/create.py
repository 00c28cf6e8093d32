"""Creating intents: outside reads first, then one transaction for the whole batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from snowrail_chain.addresses import AddressError, parse_address
from snowrail_chain.config import ChainConfig, InvalidTokenId, TokenConfig, UnknownChain, UnknownToken
from snowrail_events import IntentCreateV1
from snowrail_events.parts import IntentCondition, IntentRecurrence
from snowrail_intent.clients import Readings
from snowrail_intent.domain.conditions import Condition, InvalidCondition
from snowrail_intent.domain.intents import Intent, PayingWallet
from snowrail_intent.domain.limits import Budget
from snowrail_intent.domain.recurrence import InvalidRecurrence, Recurrence
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.requests import (
    Account,
    Circumstances,
    CreateRequest,
    check_addresses,
    create_intent,
    is_same_request,
)
from snowrail_intent.domain.states import Status
from snowrail_intent.domain.terms import condition_of, recurrence_of
from snowrail_intent.parts import Parts
from snowrail_intent.store import intents as intent_store
from snowrail_intent.store import projections
from snowrail_intent.store import wallets as wallet_store
from snowrail_intent.usecases import outgoing
from snowrail_intent.usecases.acts import act
from snowrail_intent.usecases.readings import as_read, read_wallets
from snowrail_intent.usecases.work import Work
from snowrail_kit.audit import Act
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

_MOST_RAISED = 100
"""How many older intents offer a higher approval at once; of more, the newest."""

ID_TAKEN = Refusal("intent_exists", "This id names another payment already; use a new one.")


@dataclass(frozen=True, slots=True)
class UserUnknown:
    """Nothing is known of the user yet, so no limit is: the request waits."""


@dataclass(frozen=True, slots=True)
class ChainUnread:
    """The chain could not be read: the request is tried again."""

    chain_id: int


CreateOutcome = Intent | Refusal | UserUnknown | ChainUnread


def request_of(delivery: Delivery[IntentCreateV1]) -> CreateRequest | Refusal:
    """Return the request that a command carries, or why it is none."""
    event = delivery.event
    terms = read_terms(event.condition, event.recurrence)
    if isinstance(terms, Refusal):
        return terms
    condition, recurrence = terms
    return CreateRequest(
        intent_id=event.intent_id,
        user_id=event.user_id,
        payer=event.payer,
        recipient=event.recipient,
        recipient_label=event.recipient_label,
        token=event.token,
        amount=event.amount,
        not_before=event.not_before,
        acknowledged=frozenset(event.acknowledged),
        traceparent=delivery.traceparent,
        condition=condition,
        recurrence=recurrence,
        safety_buffer=event.safety_buffer,
    )


def read_terms(
    condition: IntentCondition | None, recurrence: IntentRecurrence | None
) -> tuple[Condition | None, Recurrence | None] | Refusal:
    """Return condition and recurrence that a request names, or what does not fit together in them."""
    try:
        return (
            condition_of(condition) if condition else None,
            recurrence_of(recurrence) if recurrence else None,
        )
    except InvalidCondition as error:
        return Refusal("invalid_condition", f"This condition cannot be used: {error}.")
    except InvalidRecurrence as error:
        return Refusal("invalid_recurrence", f"This cannot repeat so: {error}.")


async def prepare_create(deliveries: list[Delivery[IntentCreateV1]], parts: Parts) -> Readings:
    """Read balances and allowances for a batch: one question per chain."""
    requests = [request_of(delivery) for delivery in deliveries]
    return await read_for_requests([item for item in requests if not isinstance(item, Refusal)], parts)


async def read_for_requests(requests: Iterable[CreateRequest], parts: Parts) -> Readings:
    """Read what requests will be judged by; what is malformed is left to be refused."""
    wallets: set[PayingWallet] = set()
    for request in requests:
        found = find_token(request.token, parts)
        if isinstance(found, Refusal) or not _is_address(request.payer):
            continue
        chain, token = found
        wallets.add(PayingWallet(chain.chain_id, request.payer, token.address))
    return await read_wallets(wallets, parts)


def find_token(token_id: str, parts: Parts) -> tuple[ChainConfig, TokenConfig] | Refusal:
    """Return chain and token of a token id, or why it cannot be paid with."""
    try:
        return parts.chains.token(token_id)
    except UnknownChain:
        return Refusal("unknown_chain", f"{token_id} is on a chain that is not offered here.")
    except (UnknownToken, InvalidTokenId):
        known = ", ".join(token.symbol for chain in parts.chains.chains for token in chain.tokens)
        return Refusal("unknown_token", f"{token_id} is not a token we can pay with; choose one of {known}.")


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except AddressError:
        return False
    return True


async def create(
    deliveries: list[Delivery[IntentCreateV1]], tx: Transaction, parts: Parts, readings: Readings
) -> None:
    """Create the intents of a batch of commands, answering each with what became of it."""
    read = [(delivery, request_of(delivery)) for delivery in deliveries]
    valid = [(delivery, request) for delivery, request in read if not isinstance(request, Refusal)]
    outcomes = await create_all(
        [request for _, request in valid], tx, parts, readings, [delivery for delivery, _ in valid]
    )
    answers: list[tuple[Delivery[IntentCreateV1], CreateOutcome]] = [
        (delivery, request) for delivery, request in read if isinstance(request, Refusal)
    ]
    answers += zip((delivery for delivery, _ in valid), outcomes, strict=True)
    for delivery, outcome in answers:
        event = delivery.event
        if isinstance(outcome, Refusal):
            rejection = outgoing.rejected(
                event.intent_id, event.user_id, event.intent_id, "create", outcome, tx.now
            )
            tx.emit(rejection, cause=delivery)
        elif isinstance(outcome, UserUnknown):
            delivery.wait_for(f"user:{event.user_id}", "nothing is known of this user yet")
        elif isinstance(outcome, ChainUnread):
            delivery.retry(f"chain {outcome.chain_id} could not be read", after_seconds=2)


@dataclass(slots=True)
class _Seen:
    """What a batch is judged by, growing with each intent that the batch creates."""

    accounts: dict[UUID, Account]
    existing: dict[UUID, Intent]
    recent_terms: set[UUID]
    paid_recipients: dict[UUID, set[str]]
    budget: Budget
    promised: dict[PayingWallet, int] = field(default_factory=dict[PayingWallet, int])
    obligations: dict[PayingWallet, int] = field(default_factory=dict[PayingWallet, int])
    paid_blocks: dict[PayingWallet, int] = field(default_factory=dict[PayingWallet, int])

    def add(self, request: CreateRequest, intent: Intent) -> None:
        """Count an intent that the batch creates."""
        self.existing[intent.intent_id] = intent
        taken = intent.taken_from_wallet * intent.slots_left
        self.obligations[intent.wallet] = self.obligations.get(intent.wallet, 0) + taken
        self.recent_terms.add(request.terms_key)
        assert intent.counted_on is not None, "a new intent is counted"
        self.budget.add(
            intent.user_id, intent.counted_on, intent.token, intent.order.amount, intent.estimated_gas
        )


async def create_all(
    requests: Sequence[CreateRequest],
    tx: Transaction,
    parts: Parts,
    readings: Readings,
    causes: Sequence[Delivery[IntentCreateV1] | None],
) -> list[CreateOutcome]:
    """Judge requests in order and store the intents that come of them.

    An id that is known returns its first intent, when it was made of the same request. Only intents that
    were not there before are announced.
    """
    seen = await _look(requests, tx, parts, readings)
    outcomes: list[CreateOutcome] = []
    created: list[tuple[CreateRequest, Intent]] = []
    causes_of_created: list[Delivery[IntentCreateV1] | None] = []
    for request, cause in zip(requests, causes, strict=True):
        known = seen.existing.get(request.intent_id)
        if known is not None:
            outcomes.append(known if is_same_request(request, known) else ID_TAKEN)
            continue
        outcome = _judge(request, seen, tx, parts, readings)
        if isinstance(outcome, Intent):
            seen.add(request, outcome)
            created.append((request, outcome))
            causes_of_created.append(cause)
        outcomes.append(outcome)
    approving = {intent.wallet for _, intent in created if intent.approval_amount}
    await _raise_approvals(approving, seen, tx, parts)
    created = [(request, _with_whole_approval(intent, seen)) for request, intent in created]
    if created:
        await _store(created, tx)
    for (_, intent), cause in zip(created, causes_of_created, strict=True):
        tx.emit(outgoing.created(intent), cause, version=intent.version, traceparent=intent.traceparent)
        tx.record(_act(intent))
    final = {intent.intent_id: intent for _, intent in created}
    return [final.get(item.intent_id, item) if isinstance(item, Intent) else item for item in outcomes]


def _with_whole_approval(intent: Intent, seen: _Seen) -> Intent:
    """Return a new intent with an approval, where it offers one, that covers what came after it, too."""
    if not intent.approval_amount:
        return intent
    return replace(intent, approval_amount=seen.obligations[intent.wallet])


async def _raise_approvals(wallets: set[PayingWallet], seen: _Seen, tx: Transaction, parts: Parts) -> None:
    """Have the unsigned intents of wallets offer the approval that covers the new ones of the batch as well.

    Whichever card's approval the payer sends last, it suffices for all. An intent that somebody holds is
    being signed or cancelled: it is judged anew.
    """
    if not wallets:
        return
    lacking = await wallet_store.find_lacking_approval(tx.connection, sorted(wallets), _MOST_RAISED)
    work = Work(tx, parts)
    await work.lock_free(lacking)
    for intent in list(work.intents.values()):
        whole = seen.obligations[intent.wallet]
        if intent.status is Status.AWAITING_AUTHORISATION and intent.approval_amount not in (0, whole):
            work.put(intent.changed(tx.now, approval_amount=whole))
    await work.write()


def _act(intent: Intent) -> Act:
    return act(
        "created",
        intent,
        payer=intent.order.payer,
        recipient=intent.order.recipient,
        token=intent.token,
        amount=str(intent.order.amount),
        occurrences=intent.slots,
    )


async def _look(
    requests: Sequence[CreateRequest], tx: Transaction, parts: Parts, readings: Readings
) -> _Seen:
    # the lock on users makes limits and duplicates of one user a matter of one transaction at a time
    users = {request.user_id for request in requests}
    accounts = await projections.lock_users(tx.connection, users)
    window = timedelta(seconds=parts.settings.duplicate_window_seconds)
    days = {request.counted_day(tx.now) for request in requests}
    seen = _Seen(
        accounts=accounts,
        existing=await intent_store.find(tx.connection, {request.intent_id for request in requests}),
        recent_terms=await intent_store.find_recent_terms(
            tx.connection, {request.terms_key for request in requests}, tx.now - window
        ),
        paid_recipients=await projections.find_paid_recipients(
            tx.connection, [(request.user_id, request.recipient) for request in requests]
        ),
        budget=await projections.fetch_budget(tx.connection, users, days),
    )
    await _look_at_wallets(seen, requests, tx, parts, readings)
    return seen


async def _look_at_wallets(
    seen: _Seen, requests: Sequence[CreateRequest], tx: Transaction, parts: Parts, readings: Readings
) -> None:
    blocks: dict[PayingWallet, int] = {}
    most_asked: dict[PayingWallet, int] = {}
    for request in requests:
        found = find_token(request.token, parts)
        if isinstance(found, Refusal) or found[1].is_native:
            continue
        chain, token = found
        reading = readings.of(chain.chain_id)
        if reading is not None:
            wallet = PayingWallet(chain.chain_id, request.payer, token.address)
            blocks[wallet] = reading.block_number
            most_asked[wallet] = max(most_asked.get(wallet, 0), request.amount)
    if not blocks:
        return
    seen.promised = await wallet_store.fetch_promised(tx.connection, blocks)
    seen.paid_blocks = await wallet_store.find_paid_blocks(tx.connection, blocks)
    lacking = {
        wallet: blocks[wallet]
        for wallet, most in most_asked.items()
        if _allowance_of(wallet, readings) - seen.promised.get(wallet, 0) < most
    }
    if lacking:
        seen.obligations = await wallet_store.fetch_obligations(tx.connection, lacking)


def _allowance_of(wallet: PayingWallet, readings: Readings) -> int:
    reading = readings.of(wallet.chain_id)
    return reading.allowances.get(as_read(wallet), 0) if reading else 0


def _judge(
    request: CreateRequest, seen: _Seen, tx: Transaction, parts: Parts, readings: Readings
) -> CreateOutcome:
    account = seen.accounts.get(request.user_id)
    if account is None:
        return UserUnknown()
    found = find_token(request.token, parts)
    if isinstance(found, Refusal):
        return found
    chain, token = found
    reading = readings.of(chain.chain_id)
    if reading is None:
        return check_addresses(request, account) or ChainUnread(chain.chain_id)
    wallet = PayingWallet(chain.chain_id, request.payer, token.address)
    if reading.block_number < seen.paid_blocks.get(wallet, 0):
        return ChainUnread(chain.chain_id)
    circumstances = Circumstances(
        now=tx.now,
        account=account,
        chain=chain,
        token=token,
        balance=reading.balances.get(as_read(wallet), 0),
        allowance=reading.allowances.get(as_read(wallet), 0),
        promised=seen.promised.get(wallet, 0),
        obligations=seen.obligations.get(wallet, 0),
        gas_price=reading.gas_price,
        gas=parts.gas_of(token),
        is_repeated=request.terms_key in seen.recent_terms,
        paid_recipients=seen.paid_recipients.get(request.user_id, frozenset()),
        limits=parts.limits.get(account.kyc_level),
        spent=seen.budget.spent(request.user_id, request.counted_day(tx.now), request.token),
        farthest=timedelta(days=parts.settings.schedule_farthest_days),
        most_occurrences=parts.settings.recurrence_most_occurrences,
        priced_tokens=frozenset(known.symbol for offered in parts.chains.chains for known in offered.tokens),
    )
    return create_intent(request, circumstances, parts.orders, parts.pace)


async def _store(created: Sequence[tuple[CreateRequest, Intent]], tx: Transaction) -> None:
    intents = [intent for _, intent in created]
    keys = [request.terms_key for request, _ in created]
    inserted = await intent_store.insert(tx.connection, intents, keys)
    assert len(inserted) == len(intents), "ids were looked up under the lock of their users"
    await projections.add_spending(tx.connection, [_spending(intent) for intent in intents])


def _spending(intent: Intent) -> projections.SpendingChange:
    assert intent.counted_on is not None, "a new intent is counted"
    return projections.SpendingChange(
        user_id=intent.user_id,
        day=intent.counted_on,
        token=intent.token,
        amount=intent.order.amount,
        gas=intent.estimated_gas,
    )
