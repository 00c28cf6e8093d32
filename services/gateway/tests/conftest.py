"""Gateways over a real broker."""

import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from snowrail_gateway.app import service
from snowrail_gateway.settings import Settings
from snowrail_kit.clock import Clock
from snowrail_testkit import Broker, RunningService, running_service

from .support import KEY_ID, Issuer, StartGateway, until_live


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """The only signer that the gateways of these tests believe."""
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    jwk = {"kty": "OKP", "crv": "Ed25519", "kid": KEY_ID, "alg": "EdDSA", "use": "sig", "x": x}
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_bytes(orjson.dumps({"keys": [jwk]}))
    return Issuer(key, path)


@pytest.fixture
def start_gateway(broker: Broker, issuer: Issuer) -> StartGateway:
    """Run a gateway over the test's broker: `async with start_gateway(max_connections=1) as gateway`."""

    @asynccontextmanager
    async def start(clock: Clock | None = None, **options: Any) -> AsyncGenerator[RunningService]:
        defaults: dict[str, Any] = {
            "jwt_public_keys_file": issuer.jwks_file,
            "drain_seconds": 0.1,
            "close_timeout_seconds": 1,
            "address_requests_per_minute": 10_000,
            "address_handshakes_per_minute": 10_000,
            "user_requests_per_hour": 10_000,
        }
        settings = broker.settings(Settings, "gateway", **(defaults | options))
        async with running_service(service, settings, clock) as gateway:
            await until_live(gateway)
            yield gateway

    return start


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(start_gateway: StartGateway) -> AsyncIterator[RunningService]:
    """A gateway with its usual bounds."""
    async with start_gateway() as running:
        yield running
