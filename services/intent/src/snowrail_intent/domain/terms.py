"""Conditions and recurrences between the form that events, requests and rows have and the domain's own."""

from decimal import Decimal

from snowrail_events.parts import IntentCondition, IntentRecurrence
from snowrail_intent.domain.conditions import Comparison, Condition, ConditionKind
from snowrail_intent.domain.recurrence import Frequency, Missed, Recurrence, recurrence


def condition_of(terms: IntentCondition) -> Condition:
    """Return the condition of these terms. Raises InvalidCondition when they do not fit together."""
    return Condition(
        ConditionKind(terms.kind), terms.token, Comparison(terms.comparison), Decimal(terms.value)
    )


def condition_terms(condition: Condition) -> IntentCondition:
    """Return a condition in the form that events carry."""
    return IntentCondition(
        kind=condition.kind.value,
        token=condition.token,
        comparison=condition.comparison.value,
        value=f"{condition.value:f}",
    )


def recurrence_of(terms: IntentRecurrence) -> Recurrence:
    """Return the recurrence of these terms. Raises InvalidRecurrence when they do not fit together."""
    return recurrence(
        Frequency(terms.kind),
        start_at=terms.start_at,
        time_zone=terms.time_zone,
        interval=terms.interval,
        weekday=terms.weekday,
        day=terms.day,
        cron=terms.cron,
        end_at=terms.end_at,
        count=terms.count,
        missed=Missed(terms.missed),
    )


def recurrence_terms(recurrence: Recurrence) -> IntentRecurrence:
    """Return a recurrence in the form that events carry."""
    return IntentRecurrence(
        kind=recurrence.frequency.value,
        interval=recurrence.interval,
        weekday=recurrence.weekday,
        day=recurrence.day,
        cron=recurrence.cron.text if recurrence.cron else None,
        time_zone=recurrence.time_zone,
        start_at=recurrence.start_at,
        end_at=recurrence.end_at,
        count=recurrence.count,
        missed=recurrence.missed.value,
    )
