"""The signing key, the keys it is published with, and the settings."""

from pathlib import Path
from uuid import UUID

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from snowrail_accounts.keys import KeyMismatch, SigningKey, published_keys
from snowrail_accounts.settings import Settings
from snowrail_kit.auth import Identity, TokenVerifier
from snowrail_testkit.fixed import START_OF_TIME

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
OTHER_ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
IDENTITY = Identity(
    user_id=UUID(int=1),
    handle="alice",
    address=ADDRESS,
    roles=frozenset({"user", "admin"}),
    device_id=UUID(int=2),
    session_id=UUID(int=3),
    expires_at=START_OF_TIME,
)


def test_the_key_id_is_the_published_thumbprint() -> None:
    # the key and thumbprint of RFC 8037, appendices A.1 to A.3
    private = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    key = SigningKey(private)
    assert key.public["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert key.key_id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_what_it_signs_is_accepted_with_the_keys_it_publishes(tmp_path: Path) -> None:
    key = SigningKey(Ed25519PrivateKey.generate())
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(orjson.dumps(published_keys(key, None)))
    token = key.sign(IDENTITY, START_OF_TIME)
    assert TokenVerifier.from_file(jwks).verify(token, START_OF_TIME) == IDENTITY
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "JWT", "kid": key.key_id}


def test_former_keys_stay_published_and_ours_has_to_be_there(tmp_path: Path) -> None:
    former, current = (SigningKey(Ed25519PrivateKey.generate()) for _ in range(2))
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(orjson.dumps({"keys": [former.public, current.public]}))
    assert published_keys(current, jwks) == {"keys": [former.public, current.public]}
    jwks.write_bytes(orjson.dumps({"keys": [former.public, {**former.public, "kid": current.key_id}]}))
    with pytest.raises(KeyMismatch, match=current.key_id):
        published_keys(current, jwks)


def test_only_an_ed25519_key_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    good = Ed25519PrivateKey.generate()
    path.write_bytes(good.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert SigningKey.from_file(path).key_id == SigningKey(good).key_id
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(other)
    with pytest.raises(ValueError, match="Ed25519"):
        SigningKey.from_file(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (ADDRESS, (ADDRESS,)),
        (f" {ADDRESS}, {OTHER_ADDRESS}", (ADDRESS, OTHER_ADDRESS)),
        (f'["{ADDRESS}"]', (ADDRESS,)),
    ],
)
def test_administrators_are_named_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SNOWRAIL_ADMIN_ADDRESSES", text)
    monkeypatch.setenv("SNOWRAIL_SIGN_IN_CHAIN_IDS", "1, 5")
    settings = Settings()
    assert settings.admin_addresses == expected
    assert settings.sign_in_chain_ids == (1, 5)


def test_an_administrator_without_a_checksum_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNOWRAIL_ADMIN_ADDRESSES", ADDRESS.lower())
    with pytest.raises(ValidationError):
        Settings()
