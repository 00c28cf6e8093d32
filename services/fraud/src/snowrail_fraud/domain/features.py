"""What is known of a payment, and the features that rules and models look at.

The same function computes features when a payment is scored and when a model is trained from what was stored.
"""

from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

RATIO_CAP_THOUSANDTHS = 1_000_000
COUNT_CAP = 10_000
AGE_CAP_HOURS = 24 * 90
DEVICE_CAP_HOURS = 24 * 7
MIN_HISTORY_PAYMENTS = 5
"""With fewer payments there is no usual amount to compare with."""
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a score may depend on, as it was when the payment was assessed.

    Amounts are atoms of the payment's token; histories are the payer's own.

    Attributes:
        registered_at: when the paying user registered; None while the user is not known here.
        new_device_at: when the user last signed in on a device never seen before, other than the first.
        is_sanctioned, is_reported: payer or recipient is on such a list.
        payee_payments: how often the payer has paid this recipient.
        is_look_alike: the recipient imitates somebody the payer has paid.
        history_payments, history_total, history_largest, history_first_at: succeeded payments in this token.
        hour_payments, day_payments: payments asked for before this one, in any token.
        hour_amount, day_amount: their amounts in this token.
    """

    asked_at: datetime
    amount: int
    registered_at: datetime | None
    is_business: bool
    new_device_at: datetime | None
    is_sanctioned: bool
    is_reported: bool
    payee_payments: int
    is_look_alike: bool
    history_payments: int
    history_total: int
    history_largest: int
    history_first_at: datetime | None
    hour_payments: int
    day_payments: int
    hour_amount: int
    day_amount: int

    def to_json(self) -> dict[str, Any]:
        """Return the context as JSON values; amounts as decimal strings."""
        return {name: _to_json(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Context":
        """Return the context that `to_json` stored."""
        return cls(**{field.name: _from_json(field.name, stored[field.name]) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Features:
    """Integers that a score is made of; yes and no are 1 and 0, ratios are thousandths.

    Attributes:
        amount_ratio: amount against the average payment.
        above_largest: whether the amount is more than the payer ever paid.
        hour_ratio, day_ratio: what is paid in an hour or day, this payment included, against the average day.
        account_age_hours: capped; 0 while the user is not known.
        device_age_hours: hours since the newest device was added; capped.
    """

    sanctioned: int
    reported: int
    look_alike: int
    payee_payments: int
    hour_payments: int
    day_payments: int
    history_payments: int
    amount_ratio: int
    above_largest: int
    hour_ratio: int
    day_ratio: int
    account_known: int
    account_age_hours: int
    device_age_hours: int
    business: int


FEATURE_NAMES = tuple(field.name for field in fields(Features))


def features_of(context: Context) -> Features:
    """Return the features of a context."""
    average_day = _average_day(context)
    return Features(
        sanctioned=int(context.is_sanctioned),
        reported=int(context.is_reported),
        look_alike=int(context.is_look_alike),
        payee_payments=min(context.payee_payments, COUNT_CAP),
        hour_payments=min(context.hour_payments, COUNT_CAP),
        day_payments=min(context.day_payments, COUNT_CAP),
        history_payments=min(context.history_payments, COUNT_CAP),
        amount_ratio=_ratio(context.amount, _average_payment(context)),
        above_largest=int(_has_history(context) and context.amount > context.history_largest),
        hour_ratio=_ratio(context.hour_amount + context.amount, average_day),
        day_ratio=_ratio(context.day_amount + context.amount, average_day),
        account_known=int(context.registered_at is not None),
        account_age_hours=_hours(context.registered_at, context.asked_at, AGE_CAP_HOURS, unknown=0),
        device_age_hours=_hours(
            context.new_device_at, context.asked_at, DEVICE_CAP_HOURS, unknown=DEVICE_CAP_HOURS
        ),
        business=int(context.is_business),
    )


def _has_history(context: Context) -> bool:
    return context.history_payments >= MIN_HISTORY_PAYMENTS


def _average_payment(context: Context) -> int:
    return context.history_total // context.history_payments if _has_history(context) else 0


def _average_day(context: Context) -> int:
    """Average paid per day since the first payment, a part of a day counting as one."""
    if not _has_history(context):
        return 0
    first_at = context.history_first_at or context.asked_at
    days = max(1, -((first_at - context.asked_at) // _DAY))
    return context.history_total // days


def _ratio(amount: int, usual: int) -> int:
    return min(amount * 1000 // usual, RATIO_CAP_THOUSANDTHS) if usual > 0 else 0


def _hours(since: datetime | None, now: datetime, cap: int, unknown: int) -> int:
    return unknown if since is None else min(max((now - since) // _HOUR, 0), cap)


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _from_json(name: str, value: Any) -> Any:
    if name.endswith("_at"):
        return None if value is None else datetime.fromisoformat(value)
    return int(value) if isinstance(value, str) else value
