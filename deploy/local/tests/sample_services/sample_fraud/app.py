"""A service with a database: a greeting, a table, its process id, and an end on demand."""

import os
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from snowrail_kit.service import Runtime, Service, parts_of
from snowrail_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """One setting of its own."""

    greeting: str = "hello"


Parts = Annotated[Runtime[Settings], Depends(parts_of)]
router = APIRouter()


@router.get("/greeting")
async def greeting(runtime: Parts) -> dict[str, Any]:
    """Return the greeting, how many notes there are, and who answers."""
    row = await runtime.database.fetch_row("SELECT count(*) FROM note")
    assert row is not None
    return {"greeting": runtime.settings.greeting, "notes": row["count"], "pid": os.getpid()}


@router.post("/notes")
async def take_note(runtime: Parts) -> dict[str, str]:
    """Add a note."""
    async with runtime.transaction() as tx:
        await tx.execute("INSERT INTO note DEFAULT VALUES")
    return {}


service: Service[Settings, Runtime[Settings]] = Service(
    name="fraud", settings=Settings, compose=lambda runtime: runtime, routers=(router,)
)
