"""The card of what a user has set."""

from datetime import datetime
from uuid import UUID

from snowrail_chat.domain.cards import Action, Card, Row
from snowrail_chat.domain.quotes import zone_of
from snowrail_chat.domain.views import UserSettings


def settings_card(
    card_id: UUID, title: str, settings: UserSettings, usual_currency: str, now: datetime
) -> Card:
    """Return the card of the settings of a user.

    Args:
        usual_currency: in which amounts are valued where the user has chosen none.
    """
    local = now.astimezone(zone_of(settings.time_zone))
    return Card(
        card_id=card_id,
        kind="settings",
        title=title,
        rows=(
            Row("Time zone", settings.time_zone),
            Row("Your time", f"{local:%Y-%m-%d %H:%M}"),
            Row("Currency", settings.currency or usual_currency),
        ),
        actions=(
            Action("Time zone", "/settings zone ", draft=True),
            Action("Currency", "/settings currency ", draft=True),
            Action("Notifications", "/notifications"),
        ),
    )
