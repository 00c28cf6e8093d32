"""An installation's secrets: made once, kept, and accepted by those who read them."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from snowrail_delivery.catalogue import SERVICES
from snowrail_delivery.cli import main
from snowrail_kit.auth import Identity, TokenVerifier, identity_claims


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets of a new installation."""
    folder = tmp_path_factory.mktemp("installation") / "secrets"
    assert main(["secrets", "--into", str(folder), "--database", "database.example:6432"]) == 0
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with its text."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_running_again_keeps_every_secret_and_adds_what_is_missing(secrets: Path) -> None:
    before = contents(secrets)
    missing = secrets / "services/intent/snowrail_nats_seed"
    missing.unlink()
    assert main(["secrets", "--into", str(secrets), "--database", "database.example:6432"]) == 0
    after = contents(secrets)
    assert after.keys() == before.keys()
    changed = {name for name, text in after.items() if before[name] != text}
    assert changed == {"services/intent/snowrail_nats_seed", "nats/identities.conf"}


def test_no_two_readers_share_a_secret(secrets: Path) -> None:
    kept = {name: text for name, text in contents(secrets).items() if not name.startswith(("public", "nats"))}
    assert len(set(kept.values())) == len(kept)


def test_each_role_logs_in_with_its_own_password(secrets: Path) -> None:
    for service in SERVICES:
        path = secrets / "services" / service.name / "snowrail_database_url"
        assert path.exists() == service.has_database
        if service.has_database:
            url = urlsplit(path.read_text())
            assert (url.username, url.path) == (service.database, f"/{service.database}")
            assert url.password == (secrets / "roles" / service.database).read_text()
            assert (url.hostname, url.port) == ("database.example", 6432)


def test_other_users_of_the_machine_are_shut_out_and_containers_may_read(secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.rglob("*") if path.is_file()} == {0o444}


def test_the_published_key_verifies_what_the_signing_key_signs(secrets: Path) -> None:
    verifier = TokenVerifier.from_file(secrets / "public/jwks.json")
    key = load_pem_private_key((secrets / "services/accounts/signing_key.pem").read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    key_id = jwt.PyJWKSet.from_json((secrets / "public/jwks.json").read_text()).keys[0].key_id
    now = datetime(2026, 1, 1, tzinfo=UTC)
    identity = Identity(
        user_id=UUID(int=1),
        handle="alice",
        address="0x0000000000000000000000000000000000000000",
        roles=frozenset({"user"}),
        device_id=UUID(int=2),
        session_id=UUID(int=3),
        expires_at=now + timedelta(minutes=15),
    )
    token = jwt.encode(identity_claims(identity, now), key, algorithm="EdDSA", headers={"kid": key_id})
    assert verifier.verify(token, now) == identity
