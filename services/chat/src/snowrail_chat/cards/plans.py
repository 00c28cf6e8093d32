"""What cards say of payments that wait for a time or a condition, or repeat."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from snowrail_chat.cards.wording import payee
from snowrail_chat.domain.cards import Action, Card, Row
from snowrail_chat.domain.conditions import GasCondition, PriceCondition
from snowrail_chat.domain.progress import UNAUTHORISED
from snowrail_chat.domain.quotes import Quotes, zone_of
from snowrail_chat.domain.recurrences import Recurrence
from snowrail_chat.domain.registry import MISSED
from snowrail_chat.domain.values import short_id
from snowrail_chat.domain.views import IntentView
from snowrail_events.parts import IntentCondition, IntentRecurrence

SCHEDULED, PAUSED = "scheduled", "paused"
_WAITING = frozenset({"armed", "delayed"})
_WEI_PER_GWEI_PLACES = 9
_MAX_BUTTONS = 5
_MISSED_WORDS = {"skip": "left out", "run_once": "made up for by one payment", "run_all": "each paid later"}


def plan_status(view: IntentView, quotes: Quotes) -> str:
    """Return the status of a payment's card: of its standing, unless it is held back or its time is ahead."""
    standing = view.standing
    if view.plan.paused and standing.is_open:
        return PAUSED
    start = due_at(view, quotes.now)
    return SCHEDULED if standing.status in _WAITING and start is not None else standing.status


def due_at(view: IntentView, now: datetime) -> datetime | None:
    """Return when a payment is due, if that is ahead."""
    start = view.plan.next_run_at or datetime.fromtimestamp(view.order.valid_after, UTC)
    return start if start > now else None


def plan_rows(view: IntentView, quotes: Quotes) -> tuple[Row, ...]:
    """Return the rows that say when, on what condition and how often it is paid."""
    rows: list[Row] = []
    plan, recurrence = view.plan, view.recurrence
    start = due_at(view, quotes.now)
    if recurrence is not None:
        rows.append(Row("Repeats", recurrence_words(recurrence)))
        rows.append(Row("Missed ones", _MISSED_WORDS[recurrence.missed]))
    if view.standing.is_open and start is not None:
        rows.append(Row("Next run" if recurrence is not None else "When", quotes.moment(start)))
    if view.condition is not None:
        rows.append(Row("Condition", str(condition_of(view.condition))))
    if plan.occurrences_total is not None and recurrence is not None:
        missed = f", {plan.occurrences_missed} missed" if plan.occurrences_missed else ""
        rows.append(Row("Paid", f"{plan.occurrences_paid or 0} of {plan.occurrences_total}{missed}"))
    # a single payment's own status says how it ended
    if recurrence is not None and plan.last_result is not None and plan.last_result_at is not None:
        rows.append(Row("Last result", f"{plan.last_result}, {quotes.moment(plan.last_result_at)}"))
    return tuple(rows)


def plan_words(view: IntentView, quotes: Quotes) -> str:
    """Return the clauses of a command that says the same, each after a space."""
    words: list[str] = []
    start = due_at(view, quotes.now)
    if view.recurrence is not None:
        words += _recurrence_clauses(view.recurrence)
    elif start is not None:
        words.append(f"at {start:%Y-%m-%d %H:%M} UTC")
    if view.condition is not None:
        words.append(str(condition_of(view.condition)))
    return "".join(f" {word}" for word in words)


def hold_actions(view: IntentView) -> tuple[Action, ...]:
    """Return the button that holds a repeated payment back, or lets it go on."""
    if view.recurrence is None or view.status in UNAUTHORISED:
        return ()
    word = "resume" if view.plan.paused else "pause"
    return (Action(word.capitalize(), f"/recurring {word} {short_id(view.intent_id)}"),)


def condition_of(condition: IntentCondition) -> PriceCondition | GasCondition:
    """Return a condition as it is typed."""
    if condition.kind == "price":
        return PriceCondition(condition.token or "", condition.comparison, condition.value)
    gwei = f"{Decimal(condition.value).scaleb(-_WEI_PER_GWEI_PLACES):f}"
    return GasCondition(condition.comparison, gwei.rstrip("0").rstrip(".") if "." in gwei else gwei)


def recurrence_words(recurrence: IntentRecurrence) -> str:
    """Return how often, and how long, for people."""
    zone = zone_of(recurrence.time_zone)
    words = [str(_recurrence_of(recurrence)), recurrence.time_zone]
    words.append(f"from {recurrence.start_at.astimezone(zone):%Y-%m-%d}")
    if recurrence.end_at is not None:
        words.append(f"until {recurrence.end_at.astimezone(zone):%Y-%m-%d}")
    if recurrence.count is not None:
        words.append(f"for {recurrence.count} times")
    return " ".join(words)


def plans_card(card_id: UUID, title: str, views: Sequence[IntentView], quotes: Quotes, draft: Action) -> Card:
    """Return the card that lists payments that wait or repeat.

    Args:
        title: what they are, in the plural.
        draft: the button that begins a new one.
    """
    return Card(
        card_id=card_id,
        kind="plans",
        title=f"{len(views)} {title}" if views else f"No {title}",
        rows=tuple(_plan_row(view, quotes) for view in views),
        actions=(
            *(
                Action(f"Show {short_id(view.intent_id)}", f"/status {short_id(view.intent_id)}")
                for view in views[:_MAX_BUTTONS]
            ),
            draft,
        ),
    )


def _plan_row(view: IntentView, quotes: Quotes) -> Row:
    amount = quotes.amount(view.amount, view.token)
    state = plan_status(view, quotes).replace("_", " ")
    first = f"{amount} to {payee(view.recipient_label, view.recipient)}, {state}"
    more = [
        f"{row.label.lower()}: {row.value}" for row in plan_rows(view, quotes) if row.label != "Missed ones"
    ]
    return Row(short_id(view.intent_id), "\n".join([first, *more]))


def _recurrence_of(recurrence: IntentRecurrence) -> Recurrence:
    clock = recurrence.start_at.astimezone(zone_of(recurrence.time_zone)).time()
    if recurrence.kind == "cron":
        return Recurrence("cron", cron=recurrence.cron)
    return Recurrence(recurrence.kind, recurrence.interval, recurrence.weekday, recurrence.day, clock)


def _recurrence_clauses(recurrence: IntentRecurrence) -> list[str]:
    zone = zone_of(recurrence.time_zone)
    words = [str(_recurrence_of(recurrence)), f"from {recurrence.start_at.astimezone(zone):%Y-%m-%d}"]
    if recurrence.end_at is not None:
        words.append(f"until {recurrence.end_at.astimezone(zone):%Y-%m-%d}")
    if recurrence.count is not None:
        words.append(f"for {recurrence.count} times")
    missed = next(word for word, name in MISSED.items() if name == recurrence.missed)
    return words if missed == "skip" else [*words, f"--missed {missed}"]
