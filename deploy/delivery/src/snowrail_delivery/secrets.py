"""The secrets of one installation, created once and kept as files, one folder per reader.

    postgres/password                                    the superuser
    roles/<role>                                         password of each database role
    services/<service>/snowrail_<setting>                what a service finds in /run/secrets/snowrail
    migrations/<service>/snowrail_migration_database_url the owner's way into the service's database
    topology/snowrail_nats_seed                          the identity that may create streams
    nats/identities.conf                                 public halves of all identities, with their rights
    public/jwks.json                                     public half of the key that signs access tokens
    kustomization.yaml                                   all of it as Kubernetes secrets

Running it again keeps every secret and adds what is missing.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import nkeys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

from snowrail_delivery.catalogue import SERVICES
from snowrail_topology import TOPOLOGY_IDENTITY, server_config
from snowrail_topology.identities import new_identity

OWNER_ROLE = "snowrail_owner"
PASSWORD_BYTES = 32


def create(folder: Path, database_address: str, executor_key: str | None = None) -> None:
    """Write all secrets of an installation.

    The folder itself is closed to other users of the machine; the files in it can be read by the users that
    the containers run as.

    Args:
        folder: is made if it does not exist.
        database_address: host and port of PostgreSQL as the services see it.
        executor_key: hex private key that pays for executions; a new one is made if None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _kept(folder / "postgres/password", _password)
    owner_password = _kept(folder / "roles" / OWNER_ROLE, _password)
    identities = {TOPOLOGY_IDENTITY: _public(_kept(folder / "topology/snowrail_nats_seed", _seed))}
    for service in SERVICES:
        own = folder / "services" / service.name
        identities[service.name] = _public(_kept(own / "snowrail_nats_seed", _seed))
        if service.has_database:
            password = _kept(folder / "roles" / service.database, _password)
            place = f"{database_address}/{service.database}"
            _write(own / "snowrail_database_url", f"postgresql://{service.database}:{password}@{place}")
            _write(
                folder / "migrations" / service.name / "snowrail_migration_database_url",
                f"postgresql://{OWNER_ROLE}:{owner_password}@{place}",
            )
    _write(folder / "nats/identities.conf", server_config(identities))
    _kept(
        folder / "services/settlement/snowrail_executor_key",
        lambda: executor_key or "0x" + secrets.token_hex(32),
    )
    _kept(folder / "services/notification/snowrail_channel_secret", _password)
    signing_key = _kept(folder / "services/accounts/signing_key.pem", _signing_key)
    _write(folder / "public/jwks.json", _jwks(signing_key))
    _write(folder / "kustomization.yaml", json.dumps(_kustomization(folder), indent=1))


def _kustomization(folder: Path) -> dict[str, Any]:
    """Kubernetes secrets, each named after its reader, and the public keys, with these files for content."""
    readers = {
        "postgres": "postgres",
        "roles": "roles",
        "topology": "topology",
        "nats-identities": "nats",
        **{service.name: f"services/{service.name}" for service in SERVICES},
        **{
            f"migrate-{service.name}": f"migrations/{service.name}"
            for service in SERVICES
            if service.has_database
        },
    }

    def generator(name: str, place: str) -> dict[str, Any]:
        return {"name": name, "files": sorted(f"{place}/{path.name}" for path in (folder / place).iterdir())}

    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "secretGenerator": [generator(name, place) for name, place in readers.items()],
        "configMapGenerator": [generator("public-keys", "public")],
    }


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The content of a secret's file, which is written only if there is none."""
    if not path.exists():
        _write(path, make())
    return path.read_text()


def _write(path: Path, text: str) -> None:
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o755)
    written = path.with_name(path.name + ".new")
    written.write_text(text)
    written.chmod(0o444)
    written.replace(path)


def _password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def _seed() -> str:
    return new_identity()[0]


def _public(seed: str) -> str:
    # The package declares another type than the bytes it returns.
    return cast("bytes", nkeys.from_seed(bytearray(seed.encode())).public_key).decode()


def _signing_key() -> str:
    return (
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    )


def _jwks(signing_key: str) -> str:
    """The public half as a JWKS whose key id is its RFC 7638 thumbprint."""
    private = load_pem_private_key(signing_key.encode(), password=None)
    assert isinstance(private, Ed25519PrivateKey), "access tokens are signed with Ed25519"
    public = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    members = {name: public[name] for name in ("crv", "kty", "x")}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()
    return json.dumps({"keys": [{**members, "alg": "EdDSA", "use": "sig", "kid": thumbprint}]}, indent=1)
