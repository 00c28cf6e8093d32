"""/device: whether a sign-in from a new device was the user's own, decided by accounts."""

from collections.abc import Sequence
from uuid import UUID

from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.values import IdPrefix
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_events import DeviceApproveV1, DeviceDenyV1


async def approve(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for devices to be approved."""
    for line, device_id in _named(lines, batch):
        event = DeviceApproveV1(
            device_id=device_id,
            request_id=line.posted.message_id,
            user_id=line.posted.user_id,
            by_device_id=line.posted.device_id,
            requested_at=line.posted.posted_at,
        )
        batch.ask(line, device_id, "device_approve", event)


async def deny(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for devices to be signed out."""
    for line, device_id in _named(lines, batch):
        event = DeviceDenyV1(
            device_id=device_id,
            request_id=line.posted.message_id,
            user_id=line.posted.user_id,
            by_device_id=line.posted.device_id,
            requested_at=line.posted.posted_at,
        )
        batch.ask(line, device_id, "device_deny", event)


def _named(lines: Sequence[Understood], batch: Batch) -> list[tuple[Understood, UUID]]:
    """Return the devices lines name. Devices are known to accounts alone, so that an id has to be whole."""
    named: list[tuple[Understood, UUID]] = []
    for line in lines:
        prefix = line.command.value("id", IdPrefix)
        if prefix.lowest == prefix.highest:
            named.append((line, prefix.lowest))
        else:
            problem = WordProblem(
                "id_incomplete", "Type the whole id of the device; the notification's button has it."
            )
            batch.refuse(line.posted, line.command.at("id", problem))
    return named
