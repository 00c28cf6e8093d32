"""Settings of accounts, beyond those of every service."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from snowrail_accounts.domain.rates import RateLimit
from snowrail_chain.addresses import parse_address
from snowrail_kit.settings import ServiceSettings


def _split(value: Any) -> Any:
    """Accept `a,b` as well as a JSON list."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    return json.loads(text) if text.startswith("[") else [item.strip() for item in text.split(",") if item]


class Settings(ServiceSettings):
    """Each is read from `SNOWRAIL_<NAME>`."""

    signing_key_file: Path = Path("/run/secrets/snowrail/signing_key.pem")
    """PEM (PKCS 8) with the Ed25519 private key that signs access tokens. Its public half has to be in
    `SNOWRAIL_JWT_PUBLIC_KEYS_FILE`, or no service would accept what is signed with it."""

    admin_addresses: Annotated[
        tuple[Annotated[str, AfterValidator(parse_address)], ...], NoDecode, BeforeValidator(_split)
    ] = ()
    """EIP-55 addresses that get the role `admin` when they sign in; separated by commas, or a JSON list."""

    sign_in_chain_ids: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_split)] = (25, 338, 31337)
    """Chains that a sign-in message may name."""
    sign_in_statement: str = Field(
        default="Sign in to Snowrail. This costs nothing and moves no money.", max_length=500
    )
    nonce_lifetime_seconds: int = Field(default=600, ge=30, le=3_600)

    access_token_seconds: int = Field(default=600, ge=60, le=3_600)
    session_days: int = Field(default=30, ge=1, le=400)
    session_idle_days: int = Field(default=7, ge=1, le=400)
    """A refresh token not used for this long has expired."""
    sessions_per_user: int = Field(default=20, ge=1, le=1_000)
    """Beyond it the session unused for longest ends."""
    devices_per_user: int = Field(default=100, ge=1, le=1_000)
    """Beyond it the device unseen for longest is forgotten."""
    handles_per_user: int = Field(default=20, ge=1, le=1_000)
    """How many handles one user may hold on to; none is ever given to somebody else."""

    nonces_per_network_per_minute: int = Field(default=30, ge=1, le=10_000)
    sign_ins_per_network_per_minute: int = Field(default=30, ge=1, le=10_000)
    sign_ins_per_address_per_hour: int = Field(default=30, ge=1, le=10_000)
    """Counted once the signature is proven, so that nobody can lock out somebody else's address."""
    handle_changes_per_day: int = Field(default=3, ge=1, le=1_000)

    @property
    def nonce_limit(self) -> RateLimit:
        """Nonces that one network address may ask for."""
        return RateLimit("nonce", self.nonces_per_network_per_minute, timedelta(minutes=1))

    @property
    def network_limit(self) -> RateLimit:
        """Sign-ins that one network address may try."""
        return RateLimit("sign-in network", self.sign_ins_per_network_per_minute, timedelta(minutes=1))

    @property
    def address_limit(self) -> RateLimit:
        """Sign-ins of one wallet."""
        return RateLimit("sign-in address", self.sign_ins_per_address_per_hour, timedelta(hours=1))

    @property
    def handle_limit(self) -> RateLimit:
        """Changes of one user's handle."""
        return RateLimit("handle", self.handle_changes_per_day, timedelta(days=1))
