"""Telegram: accounts are linked by a one-time link, lines typed there are lines of the chat."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snowrail_events import ChatAnsweredV1, ChatMessagePostedV1
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.channels.telegram import BotApiError
from snowrail_notification.domain.catalogue import Channel, Priority
from snowrail_notification.parts import Parts
from snowrail_notification.store import contacts as store
from snowrail_notification.store import deliveries as deliveries_store
from snowrail_notification.store import notifications as people_store
from snowrail_notification.store.contacts import NewContact
from snowrail_notification.store.deliveries import NewDelivery
from snowrail_notification.usecases.contacts import connected, sealing_for

log = structlog.get_logger("telegram")

ORIGIN = "telegram"
_LINK = "telegram link"
_START = re.compile(r"/start(?:@\w+)?(?:\s+([A-Za-z0-9_-]{1,64}))?\s*\Z")
_MAX_LINE_CHARACTERS = 2_000
_UPDATES_AT_ONCE = 100
_KINDS = ("message", "callback_query")
_STRANGER = "This Telegram account is not connected. Open Snowrail, and connect it under Notifications."
_LINK_GONE = "This link was used, or has expired. Ask for a new one."
_NOT_HERE = frozenset({"admin"})
"""Roles that lines from Telegram do not have: its accounts are not as well guarded as wallets."""


@dataclass(frozen=True, slots=True)
class _Note:
    """A call of the Bot API that is made once and not repeated."""

    method: str
    parameters: dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Person(_Part):
    """Who wrote."""

    id: int
    is_bot: bool = False
    username: str | None = None
    first_name: str = ""


class Chat(_Part):
    """Where it was written."""

    id: int
    type: str


class WrittenMessage(_Part):
    """A message to the bot."""

    message_id: int
    chat: Chat
    sender: Person | None = Field(default=None, alias="from")
    text: str | None = None


class CallbackQuery(_Part):
    """A button that was pressed."""

    id: str
    sender: Person = Field(alias="from")
    data: str | None = None


class Update(_Part):
    """An update of the Bot API; of its kinds those that mean something here."""

    update_id: int
    message: WrittenMessage | None = None
    callback_query: CallbackQuery | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A deep link that connects whoever follows it in Telegram, once."""

    url: str
    expires_at: datetime


async def make_link(parts: Parts, user_id: UUID) -> Link:
    """Return a link for a user, and void those given out before. Raises a 409 problem without Telegram."""
    sealing = sealing_for(parts, Channel.TELEGRAM)
    link_id = parts.ids.new()
    async with parts.transaction() as tx:
        expires_at = tx.now + timedelta(minutes=parts.settings.link_minutes)
        await store.insert_link(tx, link_id, user_id, expires_at)
    token = sealing.sign(_LINK, link_id.bytes)
    return Link(f"https://t.me/{parts.settings.telegram_bot_name}?start={token}", expires_at)


async def user_of(parts: Parts, telegram_id: int) -> UUID | None:
    """Return whose a Telegram account is. Raises a 409 problem without Telegram."""
    async with parts.transaction() as tx:
        contact = await _contact_of(tx, parts, telegram_id)
    return contact[1] if contact is not None else None


async def take_update(parts: Parts, body: Any) -> None:
    """Handle an update from the webhook. Raises pydantic.ValidationError when it is none."""
    await _take(parts, [Update.model_validate(body)])


async def poll(parts: Parts) -> bool:
    """Ask the Bot API for updates and handle them. Returns True: the next question follows at once."""
    assert parts.bot_api is not None, "only polled when it is configured"
    last = await store.last_update(parts.database)
    wait_seconds = parts.settings.telegram_poll_seconds
    try:
        answer = await parts.bot_api.call(
            "getUpdates",
            {
                "offset": None if last is None else last + 1,
                "limit": _UPDATES_AT_ONCE,
                "timeout": wait_seconds,
                "allowed_updates": _KINDS,
            },
            wait_seconds,
        )
    except (BotApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning(
            "no updates", error=str(error) if isinstance(error, BotApiError) else type(error).__name__
        )
        return False
    updates: list[Update] = []
    for item in answer:
        try:
            updates.append(Update.model_validate(item))
        except ValidationError:
            log.warning("update not understood")
            updates.append(Update(update_id=item["update_id"]))
    await _take(parts, updates)
    return True


async def announce_webhook(parts: Parts) -> None:
    """Tell the Bot API where updates go, and what proves them; it keeps what it was told last."""
    sealing = sealing_for(parts, Channel.TELEGRAM)
    assert parts.bot_api is not None, "only announced when it is configured"
    try:
        await parts.bot_api.call(
            "setWebhook",
            {
                "url": f"{parts.settings.public_origin}/api/telegram/webhook",
                "secret_token": sealing.webhook_secret,
                "allowed_updates": _KINDS,
            },
        )
    except (BotApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
        said = str(error) if isinstance(error, BotApiError) else type(error).__name__
        log.warning("webhook not announced", error=said)


async def _take(parts: Parts, updates: Sequence[Update]) -> None:
    notes: list[_Note] = []
    async with parts.transaction() as tx:
        fresh = await store.new_updates(tx, [update.update_id for update in updates])
        for update in updates:
            if update.update_id not in fresh:
                continue
            if update.callback_query is not None:
                said = await _press(tx, parts, update.update_id, update.callback_query)
                query_id = update.callback_query.id
                notes.append(_Note("answerCallbackQuery", {"callback_query_id": query_id, "text": said}))
            elif update.message is not None:
                said = await _read(tx, parts, update.update_id, update.message)
                if said is not None:
                    notes.append(_Note("sendMessage", {"chat_id": update.message.chat.id, "text": said}))
    for note in notes:
        await _send(parts, note)


async def _send(parts: Parts, note: _Note) -> None:
    """Say something that changes nothing when it does not arrive."""
    assert parts.bot_api is not None, "updates come from the Bot API"
    try:
        await parts.bot_api.call(note.method, note.parameters)
    except (BotApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
        log.info("note not sent", method=note.method, error=type(error).__name__)


async def _read(tx: Transaction, parts: Parts, update_id: int, message: WrittenMessage) -> str | None:
    """Follow a message. Returns what to say to a stranger."""
    sender = message.sender
    if message.chat.type != "private" or sender is None or sender.is_bot or message.text is None:
        return None
    start = _START.match(message.text)
    if start is not None and start.group(1) is not None:
        return None if await _connect(tx, parts, sender, start.group(1)) else _LINK_GONE
    posted = await _post(tx, parts, sender.id, update_id, "/help" if start is not None else message.text)
    return None if posted else _STRANGER


async def _connect(tx: Transaction, parts: Parts, sender: Person, token: str) -> bool:
    """Connect whoever followed a link. False when the link is not, or no longer, good."""
    sealing = sealing_for(parts, Channel.TELEGRAM)
    payload = sealing.verify(_LINK, token)
    user_id = await store.use_link(tx, UUID(bytes=payload)) if payload and len(payload) == 16 else None
    if user_id is None:
        return False
    await store.lock_user(tx, user_id, Channel.TELEGRAM)
    contact_id = parts.ids.new()
    label = f"@{sender.username}" if sender.username else sender.first_name[:100] or "Telegram account"
    lookup = sealing.lookup(Channel.TELEGRAM, str(sender.id))
    sealed = sealing.seal(contact_id, str(sender.id))
    await store.insert(
        tx, NewContact(contact_id, user_id, Channel.TELEGRAM, lookup, sealed, label), confirmed=False
    )
    await store.remove_others(tx, contact_id)
    await store.confirm(tx, contact_id)
    await connected(tx, parts, user_id, contact_id, f"The Telegram account {label}")
    return True


async def _press(tx: Transaction, parts: Parts, update_id: int, query: CallbackQuery) -> str | None:
    """Do what a button says. Returns what is shown to whoever pressed it, if anything."""
    contact = await _contact_of(tx, parts, query.sender.id)
    if contact is None:
        return _STRANGER
    delivery, _, rest = (query.data or "").partition(":")
    revision, _, index = rest.partition(":")
    try:
        found = await deliveries_store.content_of(tx, UUID(hex=delivery), contact[0])
        if found is None:
            return "This button is too old."
        if found[1] != int(revision):
            return "This message has changed since."
        command: str = found[0]["actions"][int(index)]["command"]
    except (ValueError, IndexError, KeyError):
        return "This button is too old."
    await _post(tx, parts, query.sender.id, update_id, command)
    return None


async def _contact_of(tx: Transaction, parts: Parts, telegram_id: int) -> tuple[UUID, UUID] | None:
    sealing = sealing_for(parts, Channel.TELEGRAM)
    return await store.user_of(tx, Channel.TELEGRAM, sealing.lookup(Channel.TELEGRAM, str(telegram_id)))


async def _post(tx: Transaction, parts: Parts, telegram_id: int, update_id: int, text: str) -> bool:
    """Hand a line to the chat, as if it had been typed in the console. False when it is a stranger's."""
    contact = await _contact_of(tx, parts, telegram_id)
    person = await people_store.person(tx, contact[1]) if contact is not None else None
    if person is None:
        return False
    tx.emit(
        ChatMessagePostedV1(
            message_id=derived_id("telegram message", update_id),
            user_id=person.user_id,
            handle=person.handle,
            address=person.address,
            roles=tuple(sorted(set(person.roles) - _NOT_HERE)),
            text=text[:_MAX_LINE_CHARACTERS],
            posted_at=tx.now,
            origin=ORIGIN,
        )
    )
    return True


async def show_answers(deliveries: list[Delivery[ChatAnsweredV1]], tx: Transaction, parts: Parts) -> None:
    """Send answers to lines from Telegram there, or put a card's newer state in the place of the older."""
    if Channel.TELEGRAM not in parts.outside:
        return
    newest: dict[UUID, ChatAnsweredV1] = {}
    for delivery in deliveries:
        event = delivery.event
        known = newest.get(event.in_reply_to)
        if event.origin == ORIGIN and (known is None or known.answered_at <= event.answered_at):
            newest[event.in_reply_to] = event
    contacts = await store.of_users(tx, Channel.TELEGRAM, {event.user_id for event in newest.values()})
    for in_reply_to, event in newest.items():
        contact_id = contacts.get(event.user_id)
        if contact_id is None:
            continue
        content = {
            "text": event.text,
            "actions": event.card.get("actions", []),
            "at": event.answered_at.isoformat(),
        }
        identifier = derived_id("answer", in_reply_to, contact_id)
        await deliveries_store.revise(
            tx,
            NewDelivery(identifier, contact_id, Channel.TELEGRAM, None, content, Priority.MEDIUM, tx.now),
        )
