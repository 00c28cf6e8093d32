"""A user's notifications and their read state."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.pagination import Cursor, Page, PageQuery
from snowrail_kit.service import parts_of
from snowrail_notification.domain.catalogue import Priority, Type
from snowrail_notification.parts import Parts
from snowrail_notification.store import notifications as store
from snowrail_notification.usecases.people import mark_read_by

router = APIRouter()
PartsOfService = Annotated[Parts, Depends(parts_of)]


class NotificationView(BaseModel):
    """A notification."""

    id: UUID
    type: Type
    title: str
    message: str
    icon: str
    priority: Priority
    time: datetime
    data: dict[str, Any]
    actions: list[dict[str, str]]
    read: bool
    dismissible: bool


class Unread(BaseModel):
    """How many notifications are unread."""

    unread: int


class ReadRequest(BaseModel):
    """Which notifications were read; none named: all of them."""

    model_config = ConfigDict(extra="forbid")

    ids: list[UUID] = Field(default_factory=list[UUID], max_length=500)


@router.get("/notifications")
async def list_notifications(
    parts: PartsOfService,
    identity: CurrentIdentity,
    page: PageQuery,
    unread: bool = False,
    type: Type | None = None,  # noqa: A002 - the name of the query parameter
    priority: Priority | None = None,
) -> Page[NotificationView]:
    """The caller's notifications, newest first."""
    after = (page.after.at, page.after.row_id) if page.after else None
    rows = await store.page(parts.database, identity.user_id, after, unread, type, priority, page.limit)
    items = [
        NotificationView(
            id=row["notification_id"],
            type=Type(row["type"]),
            title=row["title"],
            message=row["message"],
            icon=row["icon"],
            priority=Priority(row["priority"]),
            time=row["created_at"],
            data=row["data"],
            actions=row["actions"],
            read=row["read_at"] is not None,
            dismissible=row["dismissible"],
        )
        for row in rows[: page.limit]
    ]
    following = Cursor(items[-1].time, items[-1].id).encode() if len(rows) > page.limit else None
    return Page(items=items, next=following)


@router.get("/notifications/unread")
async def count_unread(parts: PartsOfService, identity: CurrentIdentity) -> Unread:
    """How many the caller has not read."""
    async with parts.transaction() as tx:
        counts = await store.unread_counts(tx, [identity.user_id])
    return Unread(unread=counts.get(identity.user_id, 0))


@router.post("/notifications/read")
async def mark_read(body: ReadRequest, parts: PartsOfService, identity: CurrentIdentity) -> Unread:
    """Mark notifications as read on every device."""
    async with parts.transaction() as tx:
        return Unread(unread=await mark_read_by(tx, identity.user_id, body.ids))
