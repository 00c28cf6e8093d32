"""New devices are approved by their user from another one, or denied and signed out at once.

Whatever is decided about a user's devices is decided while the user is locked, as at a sign-in: a device that
signs in while it is removed is either signed out again with the others, or new.
"""

from typing import Any
from uuid import UUID

from snowrail_accounts.parts import Parts
from snowrail_accounts.store import people as people_store
from snowrail_accounts.store import sessions as store
from snowrail_accounts.usecases.sessions import tell_ended
from snowrail_events import DeviceApproveV1, DeviceDecidedV1, DeviceDenyV1
from snowrail_kit.audit import Act
from snowrail_kit.auth import Identity
from snowrail_kit.delivery import Delivery
from snowrail_kit.problems import Problem
from snowrail_kit.unit_of_work import Transaction


class Refused(Exception):
    """A decision about a device that changed nothing. `status` is that of HTTP."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


async def approve_device(parts: Parts, identity: Identity, device_id: UUID) -> None:
    """Say that a sign-in from a new device was the user's own.

    Raises:
        Problem: 403 from the device itself, or from one that waits to be approved; 404 when there is none.
    """
    try:
        async with parts.transaction() as tx:
            await people_store.lock(tx.connection, [identity.user_id])
            tx.emit(await _approve(tx, identity.user_id, device_id, identity.device_id))
    except Refused as refused:
        raise Problem(refused.status, refused.code, refused.detail) from refused


async def remove_device(parts: Parts, identity: Identity, device_id: UUID) -> None:
    """Remove a device and end its sessions. Raises a 404 problem when there is no such device."""
    try:
        async with parts.transaction() as tx:
            await people_store.lock(tx.connection, [identity.user_id])
            tx.emit(await _deny(parts, tx, identity.user_id, device_id))
    except Refused as refused:
        raise Problem(refused.status, refused.code, refused.detail) from refused


async def follow_approvals(deliveries: list[Delivery[DeviceApproveV1]], tx: Transaction, _: Parts) -> None:
    """Users said that sign-ins were their own."""
    await people_store.lock(tx.connection, [delivery.event.user_id for delivery in deliveries])
    for delivery in deliveries:
        event = delivery.event
        try:
            if event.by_device_id is None:
                raise Refused(403, "device_needed", "Approve a device from another device of yours.")
            decided = await _approve(tx, event.user_id, event.device_id, event.by_device_id)
        except Refused as refused:
            decided = _refused(tx, delivery, refused)
        tx.emit(decided.model_copy(update={"request_id": event.request_id}), delivery)


async def follow_denials(deliveries: list[Delivery[DeviceDenyV1]], tx: Transaction, parts: Parts) -> None:
    """Users said that sign-ins were not their own."""
    await people_store.lock(tx.connection, [delivery.event.user_id for delivery in deliveries])
    for delivery in deliveries:
        event = delivery.event
        try:
            by = event.by_device_id
            if by not in (None, event.device_id) and not await store.is_approved(
                tx.connection, event.user_id, by
            ):
                raise _not_approved()
            decided = await _deny(parts, tx, event.user_id, event.device_id)
        except Refused as refused:
            decided = _refused(tx, delivery, refused)
        tx.emit(decided.model_copy(update={"request_id": event.request_id}), delivery)


async def _approve(tx: Transaction, user_id: UUID, device_id: UUID, by_device_id: UUID) -> DeviceDecidedV1:
    """Approve. Whoever stole a key could say so too, from the device itself or from a second new one."""
    if device_id == by_device_id:
        raise Refused(403, "device_own", "Approve a device from another one.")
    if not await store.is_approved(tx.connection, user_id, by_device_id):
        raise _not_approved()
    if not await store.approve_device(tx.connection, user_id, device_id, tx.now):
        raise _unknown()
    _record(tx, user_id, "device.approved", device_id)
    label = await store.label_of(tx.connection, user_id, device_id)
    return DeviceDecidedV1(
        device_id=device_id, user_id=user_id, decision="approved", label=label, decided_at=tx.now
    )


async def _deny(parts: Parts, tx: Transaction, user_id: UUID, device_id: UUID) -> DeviceDecidedV1:
    ended = await store.remove_device(tx.connection, user_id, device_id, tx.now)
    if ended is None:
        raise _unknown()
    tell_ended(parts, tx, ended, "device_removed")
    _record(tx, user_id, "device.removed", device_id)
    return DeviceDecidedV1(
        device_id=device_id,
        user_id=user_id,
        decision="denied",
        label=await store.label_of(tx.connection, user_id, device_id),
        sessions_ended=len(ended),
        decided_at=tx.now,
    )


def _refused(tx: Transaction, delivery: Delivery[Any], refused: Refused) -> DeviceDecidedV1:
    return DeviceDecidedV1(
        device_id=delivery.event.device_id,
        user_id=delivery.event.user_id,
        decision="refused",
        code=refused.code,
        detail=refused.detail,
        decided_at=tx.now,
    )


def _unknown() -> Refused:
    return Refused(404, "not_found", "There is no such device.")


def _not_approved() -> Refused:
    return Refused(403, "device_not_approved", "This device waits to be approved itself.")


def _record(tx: Transaction, user_id: UUID, action: str, device_id: UUID) -> None:
    tx.record(Act(str(user_id), action, str(user_id), {"device": str(device_id)}))
