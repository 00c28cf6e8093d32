"""`Idempotency-Key` on money-moving POSTs (money-safety rule 10; IETF httpapi idempotency-key draft).

The key, the work and the answer commit in one transaction, so a key is never kept without its effect nor an
effect without its key. Refusals are not stored: they changed nothing, and the corrected request may follow.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from snowrail_kit.auth import CurrentIdentity, Identity
from snowrail_kit.problems import Problem
from snowrail_kit.unit_of_work import Transaction

_MAX_KEY_CHARACTERS = 200


class Operation:
    """One money-moving request under its key."""

    def __init__(self, request: Request, identity: Identity, key: str, fingerprint: bytes) -> None:
        self._runtime = request.app.state.runtime
        self._endpoint = f"{request.method} {request.scope['route'].path} {request.url.path}"
        self._identity = identity
        self._key = key
        self._fingerprint = fingerprint

    async def run(self, status: int, work: Callable[[Transaction], Awaitable[BaseModel]]) -> Response:
        """Do the work once and answer; a repetition is answered with the first answer.

        Args:
            status: HTTP status of the answer.
            work: runs inside the transaction and returns the answer's body.

        Raises:
            Problem: 409 while the first request is in flight, 422 when its body differed.
        """
        async with self._runtime.transaction() as tx:
            locked = await tx.connection.fetchval(
                "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))",
                f"{self._identity.user_id} {self._endpoint} {self._key}",
            )
            if not locked:
                raise Problem(
                    409, "request_in_flight", "The first request with this Idempotency-Key still runs."
                )
            first = await tx.fetch_row(
                "SELECT fingerprint, status, body FROM idempotency_key"
                " WHERE user_id = $1 AND endpoint = $2 AND key = $3",
                self._identity.user_id,
                self._endpoint,
                self._key,
            )
            if first is not None:
                if first["fingerprint"] != self._fingerprint:
                    raise Problem(
                        422, "idempotency_key_reused", "This Idempotency-Key was used with another body."
                    )
                return _json(first["status"], first["body"])
            body = (await work(tx)).model_dump_json().encode()
            await tx.execute(
                "INSERT INTO idempotency_key (user_id, endpoint, key, fingerprint, status, body, created_at)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                self._identity.user_id,
                self._endpoint,
                self._key,
                self._fingerprint,
                status,
                body,
                tx.now,
            )
        return _json(status, body)


def _json(status: int, body: bytes) -> Response:
    return Response(body, status_code=status, media_type="application/json")


async def _operation(
    request: Request,
    identity: CurrentIdentity,
    idempotency_key: Annotated[
        str | None, Header(description="Names this operation; repeat it to retry.")
    ] = None,
) -> Operation:
    if not idempotency_key or len(idempotency_key) > _MAX_KEY_CHARACTERS or not idempotency_key.isprintable():
        raise Problem(
            400,
            "idempotency_key_required",
            f"Name the operation in an Idempotency-Key header of 1 to {_MAX_KEY_CHARACTERS} characters.",
        )
    return Operation(request, identity, idempotency_key, hashlib.sha256(await request.body()).digest())


IdempotentOperation = Annotated[Operation, Depends(_operation)]
"""FastAPI dependency of a money-moving POST. Raises a 400 problem when the header is missing."""
