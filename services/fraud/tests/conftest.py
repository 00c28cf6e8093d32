"""A running fraud service, with people who may ask it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import orjson
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from snowrail_events import FraudAssessV1
from snowrail_fraud.app import service
from snowrail_fraud.settings import Settings
from snowrail_kit.auth import Identity, identity_claims
from snowrail_testkit import Broker, CreateDatabase, FakeClock, RunningService, TestDatabase, running_service

TOKEN = "31337:0x" + "0" * 40
ALICE = "0x" + "a1" * 20
BOB = "0x" + "b0" * 20
CAROL = "0x" + "ca" * 20


@pytest.fixture(scope="session")
def signing_key() -> Ed25519PrivateKey:
    """The key that accounts would sign with."""
    return Ed25519PrivateKey.generate()


@dataclass
class Person:
    """Somebody with an access token."""

    user_id: UUID
    address: str
    http: httpx.AsyncClient
    token: str

    async def request(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """Send a request as this person."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str) -> Any:
        """Return what a route answers to this person."""
        answer = await self.request("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest_asyncio.fixture(loop_scope="session")
async def database(create_database: CreateDatabase) -> TestDatabase:
    """The service's database."""
    return await create_database("snowrail_fraud")


@pytest.fixture
def settings(
    broker: Broker, database: TestDatabase, tmp_path: Path, signing_key: Ed25519PrivateKey
) -> Settings:
    """Settings with the usual thresholds."""
    public = OKPAlgorithm.to_jwk(signing_key.public_key(), as_dict=True)
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(orjson.dumps({"keys": [{**public, "kid": "test", "alg": "EdDSA", "use": "sig"}]}))
    return broker.settings(Settings, "fraud", database, jwt_public_keys_file=jwks)


@pytest_asyncio.fixture(loop_scope="session")
async def running(settings: Settings, clock: FakeClock) -> AsyncIterator[RunningService]:
    """The service, whose time the test sets."""
    async with running_service(service, settings, clock) as started:
        yield started


MakePerson = Callable[..., Person]


@pytest.fixture
def person(running: RunningService, clock: FakeClock, signing_key: Ed25519PrivateKey) -> MakePerson:
    """Make somebody who is signed in: `person("admin", address=ALICE)`."""

    def make(*roles: str, address: str = CAROL, user_id: UUID | None = None) -> Person:
        identity = Identity(
            user_id=user_id or uuid4(),
            handle="somebody",
            address=address,
            roles=frozenset({"user", *roles}),
            device_id=uuid4(),
            session_id=uuid4(),
            expires_at=clock.now() + timedelta(days=30),
        )
        claims = identity_claims(identity, clock.now())
        token = jwt.encode(claims, signing_key, algorithm="EdDSA", headers={"kid": "test"})
        return Person(identity.user_id, address, running.http, token)

    return make


def command(**changed: Any) -> FraudAssessV1:
    """Return the command to score a payment of Alice to Bob, with something changed."""
    usual: dict[str, Any] = {
        "payment_id": uuid4(),
        "intent_id": uuid4(),
        "user_id": uuid4(),
        "occurrence": 0,
        "payer": ALICE,
        "recipient": BOB,
        "token": TOKEN,
        "amount": 10**18,
        "requested_at": "2026-01-01T12:00:00Z",
    }
    return FraudAssessV1(**{**usual, **changed})
