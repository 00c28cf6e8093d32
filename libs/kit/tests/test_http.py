"""HTTP of every service: problems, identity, idempotency, pagination, bounds, headers."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import httpx
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Depends
from fastapi.responses import Response
from jwt.algorithms import OKPAlgorithm
from pydantic import BaseModel, ConfigDict

from snowrail_kit.auth import CurrentIdentity, Identity, identity_claims, require_role
from snowrail_kit.idempotency import IdempotentOperation
from snowrail_kit.pagination import Cursor, Page, PageQuery
from snowrail_kit.problems import Problem
from snowrail_kit.service import Runtime, Service, parts_of
from snowrail_kit.settings import ServiceSettings
from snowrail_kit.unit_of_work import Transaction
from snowrail_testkit import Broker, RunningService, TestDatabase, running_service

router = APIRouter()


class Order(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid")

    amount: int


class Receipt(BaseModel):
    """An answer."""

    number: int


BEGUN, RELEASED = asyncio.Event(), asyncio.Event()
"""Of the one order that takes long."""


@router.post("/orders")
async def create(
    body: Order,
    operation: IdempotentOperation,
    parts: Annotated[list[int], Depends(parts_of)],
) -> Response:
    """A money-moving route."""

    async def work(tx: Transaction) -> Receipt:
        if body.amount == 13:
            raise Problem(409, "unlucky", "Choose another amount.")
        if body.amount == 99:
            BEGUN.set()
            await RELEASED.wait()
        parts.append(body.amount)
        return Receipt(number=len(parts))

    return await operation.run(201, work)


@router.get("/whoami")
async def whoami(identity: CurrentIdentity) -> dict[str, str]:
    return {"handle": identity.handle}


@router.get("/admin", dependencies=[Depends(require_role("admin", "business"))])
async def admin() -> dict[str, str]:
    return {}


@router.get("/rows")
async def rows(page: PageQuery) -> Page[int]:
    return Page(items=list(range(page.limit)), next=page.after.encode() if page.after else None)


@router.get("/broken")
async def broken() -> None:
    raise RuntimeError("a defect")


def compose(_: Runtime[ServiceSettings]) -> list[int]:
    return []


SERVICE: Service[ServiceSettings, list[int]] = Service("fraud", ServiceSettings, compose, routers=(router,))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest_asyncio.fixture(loop_scope="session")
async def running(broker: Broker, database: TestDatabase, tmp_path: Path) -> AsyncIterator[RunningService]:
    """The service above."""
    jwk: dict[str, Any] = json.loads(OKPAlgorithm.to_jwk(KEY.public_key()))
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [{**jwk, "kid": "test", "alg": "EdDSA", "use": "sig"}]}))
    settings = broker.settings(
        ServiceSettings, "fraud", database, jwt_public_keys_file=file, http_body_limit_bytes=2_000
    )
    async with running_service(SERVICE, settings) as service:
        yield service


def identity(running: RunningService, **changes: Any) -> Identity:
    now = running.runtime.clock.now()
    someone = Identity(
        uuid4(), "alice", "0x" + "1" * 40, frozenset({"user"}), uuid4(), uuid4(), now + timedelta(minutes=5)
    )
    return replace(someone, **changes)


def token(running: RunningService, someone: Identity, key: Any = KEY, kid: str = "test") -> dict[str, str]:
    claims = identity_claims(someone, running.runtime.clock.now())
    return {"Authorization": "Bearer " + jwt.encode(claims, key, "EdDSA", headers={"kid": kid})}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    return body


async def test_a_valid_token_says_who_calls(running: RunningService) -> None:
    answer = await running.http.get("/whoami", headers=token(running, identity(running)))
    assert answer.json() == {"handle": "alice"}


async def test_every_other_token_is_refused(running: RunningService) -> None:
    someone = identity(running)
    expired = replace(someone, expires_at=running.runtime.clock.now() - timedelta(minutes=1))
    stranger = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    unsigned = jwt.encode({"sub": str(uuid4())}, "", "none", headers={"kid": "test"})
    for headers in (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": f"Bearer {unsigned}"},
        token(running, expired),
        token(running, someone, key=stranger),
        token(running, someone, kid="other"),
    ):
        answer = await running.http.get("/whoami", headers=headers)
        problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_roles_admit_those_who_have_one(running: RunningService) -> None:
    problem(await running.http.get("/admin", headers=token(running, identity(running))), 403, "role_required")
    boss = identity(running, roles=frozenset({"business"}))
    assert (await running.http.get("/admin", headers=token(running, boss))).status_code == 200


async def test_an_operation_happens_once_under_its_key(running: RunningService) -> None:
    headers = {**token(running, identity(running)), "Idempotency-Key": "a"}
    first = await running.http.post("/orders", json={"amount": 5}, headers=headers)
    again = await running.http.post("/orders", json={"amount": 5}, headers=headers)
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (201, {"number": 1})
    other = await running.http.post("/orders", json={"amount": 6}, headers=headers)
    problem(other, 422, "idempotency_key_reused")
    stranger = {**token(running, identity(running)), "Idempotency-Key": "a"}
    assert (await running.http.post("/orders", json={"amount": 6}, headers=stranger)).json() == {"number": 2}


async def test_a_refusal_is_not_kept_and_a_key_is_required(running: RunningService) -> None:
    headers = {**token(running, identity(running)), "Idempotency-Key": "b"}
    problem(await running.http.post("/orders", json={"amount": 13}, headers=headers), 409, "unlucky")
    assert (await running.http.post("/orders", json={"amount": 5}, headers=headers)).status_code == 201
    for key in (None, "", "x" * 201):
        bad = {**headers, "Idempotency-Key": key} if key is not None else token(running, identity(running))
        answer = await running.http.post("/orders", json={"amount": 5}, headers=bad)
        problem(answer, 400, "idempotency_key_required")


async def test_the_same_operation_in_flight_is_refused(running: RunningService) -> None:
    headers = {**token(running, identity(running)), "Idempotency-Key": "c"}
    first = asyncio.create_task(running.http.post("/orders", json={"amount": 99}, headers=headers))
    await asyncio.wait_for(BEGUN.wait(), 30)
    assert (await running.http.post("/orders", json={"amount": 99}, headers=headers)).status_code == 409
    RELEASED.set()
    assert (await first).status_code == 201


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"amount": "x"}', b'{"amount": 1, "more": 2}', b"null"])
async def test_bad_input_is_named_and_never_a_500(running: RunningService, body: bytes) -> None:
    headers = {
        **token(running, identity(running)),
        "Idempotency-Key": "d",
        "Content-Type": "application/json",
    }
    found = problem(await running.http.post("/orders", content=body, headers=headers), 422, "invalid_request")
    assert found["errors"][0]["field"].startswith("body")


async def test_bodies_are_bounded_declared_or_not(running: RunningService) -> None:
    headers = {**token(running, identity(running)), "Idempotency-Key": "e"}
    problem(await running.http.post("/orders", content=b"x" * 2_001, headers=headers), 413, "body_too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100

    problem(await running.http.post("/orders", content=chunks(), headers=headers), 413, "body_too_large")


async def test_what_is_not_there_and_what_breaks_are_problems_too(running: RunningService) -> None:
    problem(await running.http.get("/nowhere"), 404, "not_found")
    problem(await running.http.delete("/whoami"), 405, "method_not_allowed")
    assert "trace_id" in problem(await running.http.get("/broken"), 500, "internal_error")


async def test_pages_are_bounded_and_cursors_opaque(running: RunningService) -> None:
    assert len((await running.http.get("/rows")).json()["items"]) == 20
    problem(await running.http.get("/rows", params={"limit": 101}), 422, "invalid_request")
    problem(await running.http.get("/rows", params={"cursor": "!!"}), 400, "invalid_cursor")
    cursor = Cursor(running.runtime.clock.now(), uuid4())
    assert (await running.http.get("/rows", params={"cursor": cursor.encode()})).json()[
        "next"
    ] == cursor.encode()


async def test_every_answer_has_the_security_headers_and_cors_is_the_origins(running: RunningService) -> None:
    answer = await running.http.get("/whoami", headers={"Origin": running.runtime.settings.public_origin})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["access-control-allow-origin"] == running.runtime.settings.public_origin
    foreign = await running.http.get("/whoami", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


async def test_health_metrics_and_documents_are_there(running: RunningService) -> None:
    assert (await running.http.get("/health/live")).json()["status"] == "live"
    assert (await running.http.get("/health/ready")).json()["status"] == "ready"
    assert "snowrail_http_seconds" in (await running.http.get("/metrics")).text
    assert "/orders" in (await running.http.get("/openapi.json")).json()["paths"]
