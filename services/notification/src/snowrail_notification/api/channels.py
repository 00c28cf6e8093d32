"""Connecting and disconnecting channels; the pages that links in mails open."""

from datetime import datetime
from html import escape
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.problems import Problem
from snowrail_kit.service import parts_of
from snowrail_notification.channels.web_push import BadSubscription, check_subscription
from snowrail_notification.domain.catalogue import OUTSIDE, Channel
from snowrail_notification.parts import Parts
from snowrail_notification.store import contacts as store
from snowrail_notification.usecases import contacts

router = APIRouter()
PartsOfService = Annotated[Parts, Depends(parts_of)]
Token = Annotated[str, Query(max_length=256)]


class ContactView(BaseModel):
    """A way to reach the caller. `confirmed`: nothing but the confirmation goes there before."""

    id: UUID
    channel: Channel
    label: str
    confirmed: bool
    connected_at: datetime


class ChannelView(BaseModel):
    """A channel: whether the platform sends on it, and where to."""

    channel: Channel
    configured: bool
    contacts: list[ContactView]


class EmailRequest(BaseModel):
    """An address to send the confirmation link to."""

    model_config = ConfigDict(extra="forbid")

    address: Annotated[str, Field(min_length=3, max_length=254)]


class Keys(BaseModel):
    """Keys of a push subscription, base64url."""

    model_config = ConfigDict(extra="forbid")

    p256dh: Annotated[str, Field(max_length=200)]
    auth: Annotated[str, Field(max_length=100)]


class SubscriptionRequest(BaseModel):
    """What `PushSubscription.toJSON()` gives in a browser."""

    model_config = ConfigDict(extra="ignore")

    endpoint: Annotated[str, Field(max_length=2_000)]
    keys: Keys
    label: Annotated[str, Field(max_length=100)] = "Browser"


class Made(BaseModel):
    """Id of the contact."""

    id: UUID


class PushKey(BaseModel):
    """The application server key to subscribe with."""

    key: str


@router.get("/channels")
async def list_channels(parts: PartsOfService, identity: CurrentIdentity) -> list[ChannelView]:
    """The channels there are, and what the caller has connected."""
    known = await store.of_user(parts.database, identity.user_id)
    return [
        ChannelView(
            channel=channel,
            configured=channel in parts.outside,
            contacts=[
                ContactView(
                    id=item.contact_id,
                    channel=channel,
                    label=item.label,
                    confirmed=item.confirmed_at is not None,
                    connected_at=item.confirmed_at or item.created_at,
                )
                for item in known
                if item.channel == channel
            ],
        )
        for channel in OUTSIDE
    ]


@router.put("/channels/email", status_code=202)
async def connect_email(body: EmailRequest, parts: PartsOfService, identity: CurrentIdentity) -> Made:
    """Send a confirmation link to an address; once followed, the address takes the earlier one's place."""
    return Made(id=await contacts.connect_email(parts, identity.user_id, body.address.strip()))


@router.get("/channels/email/confirm", response_class=HTMLResponse, include_in_schema=False)
async def ask_to_confirm(token: Token) -> HTMLResponse:
    """Ask whether to confirm: programs that look at links in mails must not confirm anything by looking."""
    return _page("Confirm your address", "Confirm", "/api/notification/channels/email/confirm", token)


@router.post("/channels/email/confirm", response_class=HTMLResponse)
async def confirm_email(token: Token, parts: PartsOfService) -> HTMLResponse:
    """Make an address its user's own, once."""
    await contacts.confirm_email(parts, token)
    return _page("Your address is confirmed.")


@router.delete("/channels/{channel}", status_code=204)
async def disconnect(
    channel: Channel, parts: PartsOfService, identity: CurrentIdentity, contact: UUID | None = None
) -> None:
    """Forget the caller's contacts of a channel, or one of them."""
    await contacts.disconnect(parts, identity.user_id, channel, contact)


@router.get("/push/key")
async def read_push_key(parts: PartsOfService) -> PushKey:
    """The key that a browser subscribes with."""
    if parts.vapid_key is None:
        raise Problem(409, "channel_not_configured", "This platform does not send over web_push.")
    return PushKey(key=parts.vapid_key.public)


@router.post("/push/subscriptions", status_code=201)
async def subscribe(body: SubscriptionRequest, parts: PartsOfService, identity: CurrentIdentity) -> Made:
    """Connect a browser."""
    try:
        subscription = check_subscription(
            body.endpoint,
            body.keys.p256dh,
            body.keys.auth,
            parts.settings.web_push_hosts,
            parts.settings.web_push_over_http,
        )
    except BadSubscription as error:
        raise Problem(422, "bad_subscription", f"{error}.".capitalize()) from error
    label = body.label or urlsplit(body.endpoint).hostname or "Browser"
    return Made(
        id=await contacts.connect_browser(parts, identity.user_id, subscription, body.endpoint, label)
    )


@router.get("/unsubscribe", response_class=HTMLResponse, include_in_schema=False)
async def ask_to_unsubscribe(token: Token) -> HTMLResponse:
    """Ask whether to switch mails of a kind off."""
    return _page("No more mail of this kind?", "No more", "/api/notification/unsubscribe", token)


@router.post("/unsubscribe", response_class=HTMLResponse)
async def unsubscribe(token: Token, parts: PartsOfService) -> HTMLResponse:
    """Switch mails of a kind off: the one click of RFC 8058."""
    type_ = await contacts.unsubscribe(parts, token)
    return _page(f"No more mail of the kind {type_.value.replace('_', ' ')}.")


def _page(title: str, button: str = "", action: str = "", token: str = "") -> HTMLResponse:
    form = (
        f'<form method="post" action="{escape(action)}?token={escape(token)}">'
        f"<button>{escape(button)}</button></form>"
        if button
        else ""
    )
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f"<title>Snowrail</title><h1>{escape(title)}</h1>{form}</html>",
        headers={"Cache-Control": "no-store"},
    )
