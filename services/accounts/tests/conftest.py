"""A running accounts service with wallets that sign in to it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from eth_account import Account
from eth_account.messages import encode_defunct

from snowrail_accounts.app import service
from snowrail_accounts.keys import SigningKey, published_keys
from snowrail_accounts.settings import Settings
from snowrail_testkit import Broker, CreateDatabase, FakeClock, RunningService, TestDatabase, running_service

# anvil's development keys: publicly known
ALICE_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
BOB_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
ADMIN_KEY = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
ORIGIN = "https://pay.example"


@dataclass
class Wallet:
    """A person with a key and a client."""

    key: str
    http: httpx.AsyncClient
    device: dict[str, Any] = field(default_factory=lambda: {"label": "Firefox on Linux"})
    tokens: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def address(self) -> str:
        """EIP-55 address."""
        return Account.from_key(self.key).address

    @property
    def headers(self) -> dict[str, str]:
        """The access token as a header."""
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    def sign(self, text: str) -> str:
        """Return the `personal_sign` signature of a text."""
        return "0x" + bytes(Account.sign_message(encode_defunct(text=text), self.key).signature).hex()

    async def message(self) -> str:
        """Ask for a nonce and return the message to sign."""
        answer = await self.http.post("/auth/nonce", json={"address": self.address, "chain_id": 31337})
        assert answer.status_code == 201, answer.text
        return answer.json()["message"]

    async def present(self, message: str, signature: str | None = None, **changed: Any) -> httpx.Response:
        """Send a signed message."""
        body = {"message": message, "signature": signature or self.sign(message), "device": self.device}
        return await self.http.post("/auth/wallet", json={**body, **changed})

    async def sign_in(self) -> dict[str, Any]:
        """Sign in, keep the tokens and the device id, and return the answer."""
        answer = await self.present(await self.message())
        assert answer.status_code == 201, answer.text
        self.tokens = answer.json()
        self.device = {**self.device, "id": self.tokens["device"]["id"]}
        return self.tokens

    async def get(self, path: str) -> Any:
        """Return what a route answers to this person."""
        answer = await self.http.get(path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest_asyncio.fixture(loop_scope="session")
async def database(create_database: CreateDatabase) -> TestDatabase:
    """The service's database."""
    return await create_database("snowrail_accounts")


@pytest.fixture
def settings(broker: Broker, database: TestDatabase, tmp_path: Path) -> Settings:
    """Settings with a new signing key; the third development account is an administrator."""
    private = Ed25519PrivateKey.generate()
    key_file, jwks_file = tmp_path / "signing_key.pem", tmp_path / "jwks.json"
    key_file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    jwks_file.write_bytes(orjson.dumps(published_keys(SigningKey(private), None)))
    return broker.settings(
        Settings,
        "accounts",
        database,
        signing_key_file=key_file,
        jwt_public_keys_file=jwks_file,
        public_origin=ORIGIN,
        admin_addresses=(Account.from_key(ADMIN_KEY).address,),
    )


@pytest_asyncio.fixture(loop_scope="session")
async def running(settings: Settings, clock: FakeClock) -> AsyncIterator[RunningService]:
    """The service, whose time the test sets."""
    async with running_service(service, settings, clock) as started:
        yield started


@pytest.fixture
def alice(running: RunningService) -> Wallet:
    """A person."""
    return Wallet(ALICE_KEY, running.http)


@pytest.fixture
def bob(running: RunningService) -> Wallet:
    """Another person."""
    return Wallet(BOB_KEY, running.http)


@pytest.fixture
def admin(running: RunningService) -> Wallet:
    """An administrator by the settings."""
    return Wallet(ADMIN_KEY, running.http)
