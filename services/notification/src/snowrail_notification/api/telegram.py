"""The routes of the Telegram bot."""

import hmac
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header
from pydantic import BaseModel, ValidationError

from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.service import parts_of
from snowrail_notification.domain.catalogue import Channel
from snowrail_notification.parts import Parts
from snowrail_notification.usecases import telegram
from snowrail_notification.usecases.contacts import sealing_for

router = APIRouter(prefix="/telegram")
PartsOfService = Annotated[Parts, Depends(parts_of)]


class LinkAnswer(BaseModel):
    """A link to open in Telegram: it connects whoever opens it first, once."""

    url: str
    expires_at: datetime


class TelegramUser(BaseModel):
    """Which user a Telegram account is connected to."""

    telegram_id: int
    user_id: UUID


@router.post("/webhook", include_in_schema=False)
async def webhook(
    body: Annotated[dict[str, Any], Body()],
    parts: PartsOfService,
    secret: Annotated[str, Header(alias="X-Telegram-Bot-Api-Secret-Token", max_length=256)] = "",
) -> dict[str, bool]:
    """Take an update from the Bot API, which proves itself by the token that it was given."""
    sealing = sealing_for(parts, Channel.TELEGRAM)
    if not hmac.compare_digest(secret.encode(), sealing.webhook_secret.encode()):
        raise Problem(401, "unauthenticated", "This is not the Bot API.")
    try:
        await telegram.take_update(parts, body)
    except ValidationError as error:
        raise Problem(400, "bad_update", "This is no update.") from error
    return {"ok": True}


@router.post("/link", status_code=201)
async def make_link(parts: PartsOfService, identity: CurrentIdentity) -> LinkAnswer:
    """Give out a link that connects the caller's Telegram account."""
    link = await telegram.make_link(parts, identity.user_id)
    return LinkAnswer(url=link.url, expires_at=link.expires_at)


@router.get("/user/{telegram_id}")
async def read_user(telegram_id: int, parts: PartsOfService, identity: CurrentIdentity) -> TelegramUser:
    """Say whose a Telegram account is: to its user and to administrators only."""
    user_id = await telegram.user_of(parts, telegram_id)
    if user_id is None or (user_id != identity.user_id and "admin" not in identity.roles):
        raise not_found("Telegram account")
    return TelegramUser(telegram_id=telegram_id, user_id=user_id)
