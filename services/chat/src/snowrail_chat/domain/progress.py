"""Where a payment stands for its payer: a status and steps, from the states of intent and payment."""

from dataclasses import dataclass

from snowrail_chat.domain.cards import Progress, Step, StepState

UNAUTHORISED = frozenset({"draft", "awaiting_authorisation"})
"""States of an intent before the payer's wallet has agreed."""
AWAITING_COVER = frozenset({"awaiting_funds", "awaiting_approval"})
"""States of an authorised intent that lacks money in the wallet, or an allowance of the escrow."""
ENDED_INTENT = frozenset({"cancelled", "expired", "failed"})
"""States of an intent after which it does not execute any more, apart from having been paid."""
ENDED_PAYMENT = frozenset({"succeeded", "failed", "blocked", "cancelled"})
"""States of a payment that does not go on."""
COMPLETED = "completed"
OPEN_INTENT = UNAUTHORISED | AWAITING_COVER | {"armed", "due", "delayed"}
"""States of an intent that may still execute."""

PREPARED, APPROVE, SIGN, FUND = (
    "Preparation",
    "Token approval",
    "Your signature",
    "Your funding transaction",
)
CHECK, SEND, INCLUDE, FINAL = "Check", "Sending", "Inclusion in a block", "Finality"

_STOPPED_PAYMENT = frozenset({"failed", "blocked", "cancelled"})
_RUNNING = {
    "requested": (CHECK, "pending"),
    "review": (CHECK, "review"),
    "approved": (SEND, "pending"),
    "executing": (SEND, "pending"),
    "submitted": (INCLUDE, "pending"),
    "included": (FINAL, "confirmed"),
    "unknown": (INCLUDE, "unknown"),
    "reopened": (INCLUDE, "pending"),
}
"""The current step and the status of the card, by the step of a payment under way."""


@dataclass(frozen=True, slots=True)
class PaymentState:
    """Where the payment of an occurrence stands.

    Attributes:
        status: `succeeded`, `failed`, `blocked`, `cancelled`, or a state on the way.
        step: the last step reported on the way.
        is_sent: a transaction carries or carried it.
    """

    status: str
    step: str
    is_sent: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What the card of a payment says.

    Attributes:
        status: the card's status.
        is_open: it may still execute.
        is_waiting_for_payer: the payer has something to do before anything happens.
    """

    status: str
    is_open: bool
    is_waiting_for_payer: bool
    steps: tuple[Step, ...]

    @property
    def progress(self) -> Progress:
        """Steps done of all."""
        return Progress(sum(step.state is StepState.DONE for step in self.steps), len(self.steps))


def standing(
    intent_status: str, by_signature: bool, needs_approval: bool, payment: PaymentState | None
) -> Standing:
    """Return where a payment stands.

    Args:
        intent_status: state of the intent.
        by_signature: it is authorised by a signature; otherwise by a funding transaction.
        needs_approval: the escrow's allowance does not cover the amount yet.
        payment: the latest payment of the intent, if one has begun.
    """
    authorise = SIGN if by_signature else FUND
    approves = by_signature and (needs_approval or intent_status == "awaiting_approval")
    plan = [PREPARED, *([APPROVE] if approves else []), authorise, CHECK, SEND, INCLUDE, FINAL]
    if payment is None:
        return _before_payment(intent_status, plan, authorise)
    if payment.status == "succeeded":
        return _final(plan)
    if payment.status in _STOPPED_PAYMENT:
        stopped = CHECK if payment.status == "blocked" else INCLUDE if payment.is_sent else SEND
        return _stopped(payment.status, plan, stopped)
    if intent_status in ENDED_INTENT:
        return _stopped(intent_status, plan, INCLUDE if payment.is_sent else SEND)
    current, status = _RUNNING.get(payment.step, (SEND, "pending"))
    return Standing(status, True, False, _steps(plan, current, StepState.CURRENT))


def _before_payment(intent_status: str, plan: list[str], authorise: str) -> Standing:
    if intent_status == COMPLETED:
        return _final(plan)
    if intent_status in ENDED_INTENT:
        # whether the wallet had agreed is not known any more: nothing after the preparation is claimed
        return _stopped(intent_status, plan, plan[1])
    if intent_status in UNAUTHORISED:
        return Standing(intent_status, True, True, _steps(plan, plan[1], StepState.CURRENT))
    waiting = intent_status in AWAITING_COVER
    current = APPROVE if waiting and APPROVE in plan else CHECK
    steps = tuple(
        Step(step.label, StepState.DONE) if step.label == authorise else step
        for step in _steps(plan, current, StepState.CURRENT)
    )
    return Standing(intent_status, True, waiting, steps)


def _final(plan: list[str]) -> Standing:
    return Standing("final", False, False, tuple(Step(label, StepState.DONE) for label in plan))


def _stopped(status: str, plan: list[str], at: str) -> Standing:
    state = StepState.FAILED if status in ("failed", "blocked") else StepState.SKIPPED
    return Standing(status, False, False, _steps(plan, at, state, StepState.SKIPPED))


def _steps(
    plan: list[str], current: str, state: StepState, after: StepState = StepState.AHEAD
) -> tuple[Step, ...]:
    position = plan.index(current)
    return tuple(
        Step(label, StepState.DONE if index < position else state if index == position else after)
        for index, label in enumerate(plan)
    )
