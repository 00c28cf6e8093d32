"""Cards of price alerts, notification preferences and devices."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from snowrail_chat.domain.cards import Action, Card, Row, Style
from snowrail_chat.domain.quotes import Quotes
from snowrail_chat.domain.values import short_id
from snowrail_chat.domain.views import Alert
from snowrail_events import DeviceDecidedV1

_MAX_BUTTONS = 6
_ALERT_TITLES = {"armed": "You will be told", "fired": "It passed the mark", "deleted": "Forgotten"}
_NEW_ALERT = Action("New alert", "/alert ", draft=True)


def alerts_card(card_id: UUID, alerts: Sequence[Alert], quotes: Quotes) -> Card:
    """Return the card of a user's alerts."""
    return Card(
        card_id=card_id,
        kind="alerts",
        title=f"{len(alerts)} price alerts" if alerts else "No price alerts",
        rows=tuple(_alert_row(alert, quotes) for alert in alerts),
        actions=(
            *(_forget(alert, f"Forget {short_id(alert.alert_id)}") for alert in alerts[:_MAX_BUTTONS]),
            _NEW_ALERT,
        ),
    )


def alert_card(card_id: UUID, alert: Alert, quotes: Quotes) -> Card:
    """Return the card that answers a command about an alert."""
    actions = () if alert.status == "deleted" else (_forget(alert, "Forget"),)
    return Card(
        card_id=card_id,
        kind="alerts",
        title=f"{_ALERT_TITLES[alert.status]}: {_mark(alert)}",
        status=alert.status,
        rows=(_alert_row(alert, quotes),),
        actions=(*actions, Action("All alerts", "/alerts")),
    )


def preferences_card(card_id: UUID, record: Mapping[str, Any] | None, time_zone: str) -> Card:
    """Return the card of what a user is told.

    Args:
        time_zone: that of the user's account, by which quiet hours go.
        record: the preferences as `notification.preferences_updated` told them; None before anything was set.
    """
    rows: list[Row] = []
    notes: list[str] = []
    if record is None:
        notes.append("You have changed nothing yet: you are told what is usual.")
    else:
        by_type: dict[str, list[str]] = {}
        for each in record["preferences"]:
            by_type.setdefault(each["type"], []).append(
                f"{_words(each['channel'])} {'on' if each['enabled'] else 'off'}"
            )
        rows += [Row(_words(kind), ", ".join(states)) for kind, states in by_type.items()]
        rows += [
            Row(f"via {_words(channel['channel'])}", _channel_state(channel))
            for channel in record["channels"]
        ]
        quiet = "never"
        if record["quiet_starts_at"] is not None:
            quiet = f"{record['quiet_starts_at']} to {record['quiet_ends_at']}, {time_zone}"
        rows.append(Row("Quiet hours", quiet))
        notes.append("Critical notifications come in quiet hours, too.")
    return Card(
        card_id=card_id,
        kind="notifications",
        title="What you are told",
        rows=tuple(rows),
        actions=(
            Action("Change", "/notifications set ", draft=True),
            Action("Quiet hours", "/notifications quiet ", draft=True),
        ),
        notes=tuple(notes),
    )


def device_card(card_id: UUID, decided: DeviceDecidedV1) -> Card:
    """Return the card that says what became of a device."""
    name = decided.label or short_id(decided.device_id)
    if decided.decision == "refused":
        return Card(
            card_id, "error", "Nothing was changed.", decided.code or "refused", notes=(decided.detail,)
        )
    approved = decided.decision == "approved"
    title = f"{name} is approved." if approved else f"{name} is signed out."
    rows = () if approved else (Row("Sessions ended", str(decided.sessions_ended)),)
    return Card(card_id, "notice", title, decided.decision, rows=rows)


def _mark(alert: Alert) -> str:
    return f"{alert.symbol} {alert.comparison} {alert.price} {alert.currency}"


def _alert_row(alert: Alert, quotes: Quotes) -> Row:
    fired = f" at {alert.fired_price}" if alert.fired_price else ""
    return Row(
        short_id(alert.alert_id), f"{_mark(alert)}, {alert.status}{fired}, {quotes.moment(alert.changed_at)}"
    )


def _forget(alert: Alert, label: str) -> Action:
    return Action(label, f"/alerts delete {short_id(alert.alert_id)}", Style.DANGER)


def _words(code: str) -> str:
    return code.replace("_", " ")


def _channel_state(channel: Mapping[str, Any]) -> str:
    if not channel["configured"]:
        return "not offered here"
    label = f" ({channel['label']})" if channel["label"] else ""
    return f"connected{label}" if channel["connected"] else "not connected"
