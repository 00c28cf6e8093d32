"""HTTP routes of notification."""

from fastapi import APIRouter

from snowrail_notification.api import alerts, channels, notifications, preferences, telegram

router = APIRouter()
for part in (notifications, preferences, channels, telegram, alerts):
    router.include_router(part.router)
