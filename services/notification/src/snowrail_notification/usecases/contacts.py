"""Connecting and disconnecting the addresses, accounts and browsers that a user is reached at."""

import re
from datetime import timedelta
from uuid import UUID

from snowrail_kit.ids import derived_id
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.channels.email import UNSUBSCRIBE
from snowrail_notification.domain.catalogue import CATALOGUE, Channel, Priority, Type
from snowrail_notification.domain.wording import Message
from snowrail_notification.parts import Parts
from snowrail_notification.sealing import Sealing
from snowrail_notification.store import attention as attention_store
from snowrail_notification.store import contacts as store
from snowrail_notification.store import deliveries as deliveries_store
from snowrail_notification.store.contacts import NewContact
from snowrail_notification.store.deliveries import NewDelivery
from snowrail_notification.usecases.preferences import tell_change
from snowrail_notification.usecases.telling import Telling, tell_all

_CONFIRM = "confirm e-mail"
_CONFIRMATIONS_PER_DAY = 5
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+\Z")
"""What HTML forms take for an address, with a domain of at least two labels; quoted names are not taken."""


def sealing_for(parts: Parts, channel: Channel) -> Sealing:
    """Return what seals addresses of a channel. Raises a 409 problem when the channel is not configured."""
    if channel not in parts.outside or parts.sealing is None:
        raise Problem(409, "channel_not_configured", f"This platform does not send over {channel.value}.")
    return parts.sealing


async def connect_email(parts: Parts, user_id: UUID, address: str) -> UUID:
    """Send the link that makes an address the user's own. Nothing else goes there before it was followed.

    Raises:
        Problem: 409 no e-mail here, 422 no address, 429 too many tries.
    """
    sealing = sealing_for(parts, Channel.EMAIL)
    if len(address) > 254 or not _EMAIL.match(address):
        raise Problem(422, "bad_address", "This is not an e-mail address.")
    contact_id = parts.ids.new()
    async with parts.transaction() as tx:
        await store.lock_user(tx, user_id, Channel.EMAIL)
        day = tx.now - timedelta(days=1)
        if await store.count_recent(tx, user_id, Channel.EMAIL, day) >= _CONFIRMATIONS_PER_DAY:
            detail = "Too many addresses were tried today; try again tomorrow."
            raise Problem(429, "rate_limited", detail, headers={"Retry-After": "86400"})
        contact = NewContact(
            contact_id,
            user_id,
            Channel.EMAIL,
            sealing.lookup(Channel.EMAIL, address.lower()),
            sealing.seal(contact_id, address),
            _email_label(address),
        )
        await store.insert(tx, contact, confirmed=False)
        token = sealing.sign(_CONFIRM, contact_id.bytes)
        hours = parts.settings.confirmation_hours
        content = {
            "title": "Confirm your address",
            "message": "Somebody, hopefully you, wants to be told by Snowrail at this address. Follow the"
            f" link within {hours} hours to confirm that it is yours; otherwise nothing more will come.",
            "link": f"{parts.settings.public_origin}/api/notification/channels/email/confirm?token={token}",
            "link_label": "Confirm",
        }
        await deliveries_store.insert(
            tx,
            [
                NewDelivery(
                    derived_id("confirmation", contact_id), contact_id, Channel.EMAIL, None, content,
                    Priority.HIGH, tx.now,
                )
            ],
        )  # fmt: skip
    return contact_id


async def confirm_email(parts: Parts, token: str) -> None:
    """Make an address its user's own, once. Raises a 410 problem when the link is not, or no longer, good."""
    sealing = sealing_for(parts, Channel.EMAIL)
    payload = sealing.verify(_CONFIRM, token)
    gone = Problem(410, "link_gone", "This link was used, has expired, or never was one.")
    if payload is None or len(payload) != 16:
        raise gone
    async with parts.transaction() as tx:
        contact = await store.find(tx, UUID(bytes=payload))
        latest = tx.now - timedelta(hours=parts.settings.confirmation_hours)
        if contact is None or contact.confirmed_at is not None or contact.created_at < latest:
            raise gone
        await store.lock_user(tx, contact.user_id, Channel.EMAIL)
        await store.remove_others(tx, contact.contact_id)
        await store.confirm(tx, contact.contact_id)
        await connected(tx, parts, contact.user_id, contact.contact_id, f"The e-mail address {contact.label}")


async def connected(tx: Transaction, parts: Parts, user_id: UUID, contact_id: UUID, what: str) -> None:
    """Warn the user of a new way in which they are told things, and say what their preferences are now."""
    message = Message(
        user_id,
        Type.SECURITY_ALERT,
        "New channel connected",
        f"{what} was connected to your account. If this was not you, disconnect it and look at your devices.",
        {"contact_id": str(contact_id)},
    )
    await tell_all(tx, [Telling(derived_id("connected", contact_id), message)], parts)
    await tell_change(tx, parts, user_id)


async def disconnect(parts: Parts, user_id: UUID, channel: Channel, contact_id: UUID | None = None) -> None:
    """Forget a user's contacts of a channel, or one of them. Raises a 404 problem when there are none."""
    async with parts.transaction() as tx:
        if not await store.remove(tx, user_id, channel.value, contact_id):
            raise not_found("contact")
        await tell_change(tx, parts, user_id)


async def connect_browser(parts: Parts, user_id: UUID, subscription: str, endpoint: str, label: str) -> UUID:
    """Store a browser's subscription, which has been checked. The same one again replaces itself."""
    sealing = sealing_for(parts, Channel.WEB_PUSH)
    contact_id = parts.ids.new()
    lookup = sealing.lookup(Channel.WEB_PUSH, endpoint)
    async with parts.transaction() as tx:
        await store.lock_user(tx, user_id, Channel.WEB_PUSH)
        known = await store.user_of(tx, Channel.WEB_PUSH, lookup)
        await store.remove_address(tx, Channel.WEB_PUSH, lookup)
        sealed = sealing.seal(contact_id, subscription)
        contact = NewContact(contact_id, user_id, Channel.WEB_PUSH, lookup, sealed, label)
        await store.insert(tx, contact, confirmed=True)
        await store.keep_newest(tx, user_id, Channel.WEB_PUSH, parts.settings.web_push_contacts)
        if known is None or known[1] != user_id:
            await connected(tx, parts, user_id, contact_id, f"The browser {label}")
    return contact_id


async def unsubscribe(parts: Parts, token: str) -> Type:
    """Switch a type off for e-mail, as the link in a mail asks (RFC 8058).

    Raises:
        Problem: 404 for a token that is none of ours.
    """
    sealing = sealing_for(parts, Channel.EMAIL)
    payload = sealing.verify(UNSUBSCRIBE, token)
    try:
        if payload is None:
            raise ValueError("not signed by us")
        user_id, type_ = UUID(bytes=payload[:16]), Type(payload[16:].decode())
    except ValueError as error:
        raise Problem(404, "unknown_link", "This link is none of ours.") from error
    if CATALOGUE[type_].priority is not Priority.CRITICAL:
        async with parts.transaction() as tx:
            pairs = [(type_.value, Channel.EMAIL.value)]
            await attention_store.set_preferences(tx, user_id, pairs, enabled=False)
            await tell_change(tx, parts, user_id)
    return type_


def _email_label(address: str) -> str:
    name, _, domain = address.partition("@")
    return f"{name[:1]}…@{domain}"
