"""Checks of a request to create an intent, and the intent made of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from snowrail_chain.addresses import AddressError, find_look_alike, parse_address
from snowrail_chain.config import ChainConfig, TokenConfig
from snowrail_chain.eip712 import InvalidOrder, Order, order_hash, validate_order
from snowrail_intent.domain.conditions import Condition
from snowrail_intent.domain.intents import Intent, Pace
from snowrail_intent.domain.limits import LevelLimits, Payments, Spent, check_limits
from snowrail_intent.domain.orders import OrderPolicy, order_salt
from snowrail_intent.domain.recurrence import InvalidRecurrence, Recurrence, Series, series_of
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.states import IntentEvent, State, Status, advance
from snowrail_kit.ids import derived_id
from snowrail_kit.money import format_amount

DUPLICATE_PAYMENT = "duplicate_payment"
LOOK_ALIKE_ADDRESS = "lookalike_address"


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What a user asks for, from chat or over HTTP.

    Attributes:
        token: token id.
        amount: atoms.
        not_before: earliest execution; None for at once. A recurring payment has its start instead.
        acknowledged: codes of warnings the user has acknowledged.
        traceparent: trace that the intent's events continue.
        condition: what must hold before it is paid.
        recurrence: when it repeats.
        safety_buffer: least atoms of the token that stay in the payer's wallet.
    """

    intent_id: UUID
    user_id: UUID
    payer: str
    recipient: str
    recipient_label: str
    token: str
    amount: int
    not_before: datetime | None
    acknowledged: frozenset[str]
    traceparent: str | None
    condition: Condition | None = None
    recurrence: Recurrence | None = None
    safety_buffer: int = 0

    def counted_day(self, now: datetime) -> date:
        """Return the UTC day whose limits the first occurrence uses."""
        first = self.recurrence.first() if self.recurrence else self.not_before
        return max(first or now, now).astimezone(UTC).date()

    @property
    def terms_key(self) -> UUID:
        """Equal for requests that would move the same money between the same accounts."""
        return derived_id("terms", self.payer, self.recipient, self.token, self.amount)


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of a user.

    Attributes:
        address: EIP-55 address of the user's wallet.
        kyc_level: 0 to 3.
    """

    user_id: UUID
    address: str
    kyc_level: int


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All that a request is judged by.

    Attributes:
        balance: atoms of the token in the payer's wallet.
        allowance: atoms the escrow may move; 0 for the native coin.
        promised: atoms that the payer's other authorised intents will take from the wallet.
        obligations: atoms that all open intents before this one take from it, unsigned ones included; looked
            up only where the allowance does not suffice.
        gas_price: wei.
        gas: estimated gas of the execution.
        is_repeated: whether the same payment was asked for within the duplicate window.
        paid_recipients: addresses this user has paid that could look like the recipient.
        limits: those of the user's level.
        spent: what the user's other payments of the day and month of the first occurrence take.
        farthest: how far ahead a payment may be scheduled.
        most_occurrences: how often a payment may repeat.
        priced_tokens: symbols of the tokens that have a price.
    """

    now: datetime
    account: Account
    chain: ChainConfig
    token: TokenConfig
    balance: int
    allowance: int
    promised: int
    obligations: int
    gas_price: int
    gas: int
    is_repeated: bool
    paid_recipients: Collection[str]
    limits: LevelLimits | None
    spent: Spent
    farthest: timedelta
    most_occurrences: int
    priced_tokens: Collection[str]


def check_addresses(request: CreateRequest, account: Account) -> Refusal | None:
    """Return what is wrong with payer or recipient as such."""
    try:
        parse_address(request.recipient)
    except AddressError as error:
        offered = f" Did you mean {error.checksummed}?" if error.checksummed else ""
        return Refusal(error.code, f"{str(error)[0].upper()}{str(error)[1:]}.{offered}")
    if request.payer != account.address:
        return Refusal("wrong_payer", f"You can pay from your own wallet only, which is {account.address}.")
    if request.recipient == request.payer:
        return Refusal("same_account", "Payer and recipient are the same account; name another recipient.")
    return None


def check_request(request: CreateRequest, seen: Circumstances, series: Series | None) -> Refusal | None:
    """Return why a request is refused, the first reason in the order a person would mend them; or None.

    Args:
        request: what is asked for.
        seen: what it is judged by.
        series: what its recurrence comes to, where it has one.
    """
    return (
        check_addresses(request, seen.account)
        or _check_schedule(request, seen)
        or _check_condition(request, seen)
        or _check_limits(request, seen, series)
        or _check_funds(request, seen)
        or _check_look_alike(request, seen)
        or _check_duplicate(request, seen)
    )


def _check_schedule(request: CreateRequest, seen: Circumstances) -> Refusal | None:
    if request.not_before is not None and request.not_before - seen.now > seen.farthest:
        return Refusal(
            "too_far_ahead", f"A payment can be scheduled at most {seen.farthest.days} days ahead."
        )
    return None


def _check_condition(request: CreateRequest, seen: Circumstances) -> Refusal | None:
    condition = request.condition
    if condition is None or condition.token is None or condition.token in seen.priced_tokens:
        return None
    known = ", ".join(sorted(seen.priced_tokens))
    return Refusal("unknown_price", f"We know no price of {condition.token}; choose one of {known}.")


def _check_limits(request: CreateRequest, seen: Circumstances, series: Series | None) -> Refusal | None:
    payments = Payments(request.amount, seen.gas)
    if series is not None:
        payments = Payments(request.amount, seen.gas, series.most_in_day, series.most_in_month)
    day, today = request.counted_day(seen.now), seen.now.astimezone(UTC).date()
    token = seen.token
    return check_limits(
        seen.limits, request.token, token.symbol, token.decimals, payments, seen.spent, day, today
    )


def _check_funds(request: CreateRequest, seen: Circumstances) -> Refusal | None:
    scheduled = request.not_before is not None and request.not_before > seen.now
    if scheduled or request.recurrence or request.condition:
        return None
    if seen.balance >= request.amount + request.safety_buffer:
        return None
    have = format_amount(seen.balance, seen.token.decimals)
    kept = ", of which some has to stay there" if request.safety_buffer else ""
    return Refusal(
        "insufficient_funds",
        f"Your wallet holds {have} {seen.token.symbol}{kept}; add funds or send less.",
    )


def _check_look_alike(request: CreateRequest, seen: Circumstances) -> Refusal | None:
    if LOOK_ALIKE_ADDRESS in request.acknowledged or request.recipient in seen.paid_recipients:
        return None
    known = find_look_alike(request.recipient, seen.paid_recipients)
    if known is None:
        return None
    return Refusal(
        LOOK_ALIKE_ADDRESS,
        f"{request.recipient} only resembles {known}, whom you have paid before. Compare all characters;"
        f" acknowledge {LOOK_ALIKE_ADDRESS} if it is right.",
    )


def _check_duplicate(request: CreateRequest, seen: Circumstances) -> Refusal | None:
    if DUPLICATE_PAYMENT in request.acknowledged or not seen.is_repeated:
        return None
    return Refusal(
        DUPLICATE_PAYMENT,
        f"You asked for the same payment moments ago; acknowledge {DUPLICATE_PAYMENT} to pay it again.",
    )


def plan_series(request: CreateRequest, seen: Circumstances, skew: timedelta) -> Series | Refusal | None:
    """Return what is signed of a recurring payment, None for a single one, or why it cannot be.

    Args:
        request: what is asked for.
        seen: what it is judged by.
        skew: how far in the past the start may be.
    """
    recurrence = request.recurrence
    if recurrence is None:
        return None
    if request.not_before is not None:
        return Refusal("invalid_recurrence", "A recurring payment has its start in the recurrence.")
    if recurrence.start_at < seen.now - skew:
        return Refusal("invalid_recurrence", "A recurring payment cannot start in the past.")
    if seen.token.is_native and recurrence.count is None and recurrence.end_at is None:
        return Refusal(
            "invalid_recurrence",
            f"Payments in {seen.token.symbol} are deposited ahead; say how many there are, or the end.",
        )
    try:
        return series_of(recurrence, seen.now + seen.farthest, seen.most_occurrences)
    except InvalidRecurrence as error:
        return Refusal("invalid_recurrence", f"This cannot repeat so: {error}.")


def make_order(
    request: CreateRequest,
    seen: Circumstances,
    policy: OrderPolicy,
    expires_at: datetime,
    series: Series | None,
) -> Order:
    """Return the order to authorise. Raises InvalidOrder when the escrow would refuse it.

    The chain itself enforces of a series how many executions there are and how early each may be, and of a
    gas price to stay below, that it is.
    """
    ceiling = policy.gas_ceiling(seen.gas_price)
    if request.condition is not None and request.condition.gas_ceiling is not None:
        ceiling = min(ceiling, request.condition.gas_ceiling)
    order = Order(
        payer=request.payer,
        recipient=request.recipient,
        token=seen.token.address,
        amount=request.amount,
        valid_after=policy.opening(seen.now, series.first_at if series else request.not_before),
        valid_until=int(expires_at.timestamp()),
        max_gas_price=ceiling,
        safety_buffer=request.safety_buffer,
        min_interval=series.least_interval_seconds if series else 0,
        max_executions=series.slots if series else 1,
        max_fee=0,
        salt=order_salt(request.intent_id, 0),
    )
    validate_order(order, seen.chain.escrow)
    return order


def create_intent(
    request: CreateRequest, seen: Circumstances, policy: OrderPolicy, pace: Pace
) -> Intent | Refusal:
    """Return the intent that a request leads to, waiting for its authorisation, or why there is none."""
    series = plan_series(request, seen, policy.clock_skew)
    if isinstance(series, Refusal):
        return check_addresses(request, seen.account) or series
    refusal = check_request(request, seen, series)
    if refusal is not None:
        return refusal
    expires_at = policy.expiry(seen.now, series.last_at if series else request.not_before)
    try:
        order = make_order(request, seen, policy, expires_at, series)
    except InvalidOrder as error:
        return Refusal("invalid_terms", f"The escrow cannot execute these terms: {error}.")
    draft = Intent(
        intent_id=request.intent_id,
        user_id=request.user_id,
        version=1,
        status=advance(State(Status.DRAFT), IntentEvent.SUBMITTED).status,
        paused=False,
        reason=None,
        recipient_label=request.recipient_label,
        token=request.token,
        chain_id=seen.chain.chain_id,
        escrow=seen.chain.escrow,
        revision=0,
        order=order,
        order_hash=order_hash(order),
        signature=None,
        deposit=0,
        executed=0,
        chain_cancelled=False,
        approval_amount=approval_needed(
            order,
            seen.allowance,
            seen.promised,
            seen.obligations + (order.amount + order.max_fee) * order.max_executions,
        ),
        next_occurrence=0,
        recurrence=request.recurrence,
        condition=request.condition,
        slot=0,
        slots=order.max_executions,
        missed=0,
        counted_on=request.counted_day(seen.now),
        warned_slot=None,
        last_result=None,
        last_result_at=None,
        not_before=series.first_at if series else request.not_before,
        expires_at=expires_at,
        estimated_gas=seen.gas,
        estimated_gas_price=seen.gas_price,
        waiting_since=None,
        next_check_at=None,
        traceparent=request.traceparent,
        created_at=seen.now,
        changed_at=seen.now,
    )
    return pace.scheduled(draft, seen.now)


def approval_needed(order: Order, allowance: int, promised: int, obligations: int) -> int:
    """Return the allowance in atoms to ask for, or 0 when the next execution is covered.

    An approval replaces what was allowed before: it is for all that open intents take from the wallet, and
    for nothing else.

    Args:
        order: what is to be covered.
        allowance: atoms that the escrow may move now.
        promised: atoms of it that other authorised intents rely on.
        obligations: atoms that all open intents take from the wallet, this order's executions included.
    """
    if int(order.token, 16) == 0 or allowance - promised >= order.amount + order.max_fee:
        return 0
    return max(obligations, promised + order.amount + order.max_fee)


def is_same_request(request: CreateRequest, intent: Intent) -> bool:
    """Whether an intent of this id was made of the same request."""
    return (
        intent.user_id == request.user_id
        and intent.order.payer == request.payer
        and intent.order.recipient == request.recipient
        and intent.token == request.token
        and intent.order.amount == request.amount
        and intent.recurrence == request.recurrence
        and intent.condition == request.condition
    )
