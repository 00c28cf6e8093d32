"""Cursor pagination: newest first, stable while rows are added, opaque to the client."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel

from snowrail_kit.problems import Problem

T = TypeVar("T")

MAX_PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position after which a page starts: the sort key of the last row seen."""

    at: datetime
    row_id: UUID

    def encode(self) -> str:
        """Return the cursor as clients pass it back."""
        return base64.urlsafe_b64encode(f"{self.at.isoformat()}|{self.row_id}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Return the cursor a client passed back. Raises a 400 problem when it is not one of ours."""
        try:
            at, _, row_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("|")
            return cls(datetime.fromisoformat(at), UUID(row_id))
        except (ValueError, binascii.Error) as error:
            raise Problem(
                400, "invalid_cursor", "Pass the cursor as `next` of the previous page gave it."
            ) from error


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a client asked for: at most `limit` rows after `after`."""

    limit: int
    after: Cursor | None


class Page(BaseModel, Generic[T]):
    """One page; `next` is null on the last one."""

    items: list[T]
    next: str | None


def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS)] = 20,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> PageRequest:
    return PageRequest(limit, Cursor.decode(cursor) if cursor else None)


PageQuery = Annotated[PageRequest, Depends(_page_request)]
