"""Signing in, going on, signing out; the keys that tokens are verified with."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from snowrail_accounts.api.models import (
    DeviceAnswer,
    LogOutRequest,
    NonceAnswer,
    NonceRequest,
    RefreshRequest,
    SignInAnswer,
    SignInRequest,
    TokensAnswer,
)
from snowrail_accounts.parts import Parts
from snowrail_accounts.usecases import sessions, sign_in
from snowrail_accounts.usecases.sign_in import DeviceClaim
from snowrail_kit.auth import Identity, current_identity
from snowrail_kit.service import parts_of

router = APIRouter(tags=["sign-in"])
PartsOf = Annotated[Parts, Depends(parts_of)]

_bearer = HTTPBearer(auto_error=False, description="Access token from POST /auth/wallet")
_KEYS_CACHE_SECONDS = 300


def network_address(request: Request) -> str:
    """FastAPI dependency: the caller's network address, as the edge states it to a server that trusts it."""
    return request.client.host if request.client else "unknown"


NetworkAddress = Annotated[str, Depends(network_address)]


def optional_identity(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity | None:
    """FastAPI dependency: the caller, or None without a token. Raises a 401 problem for a bad one."""
    return None if credentials is None else current_identity(request, credentials)


@router.post("/auth/nonce", status_code=201)
async def issue_nonce(body: NonceRequest, parts: PartsOf, network: NetworkAddress) -> NonceAnswer:
    """Give out a nonce and the EIP-4361 message to sign."""
    issued, message = await sign_in.issue_nonce(parts, body.address, body.chain_id, network)
    return NonceAnswer(nonce=issued.nonce, message=message.render(), expires_at=issued.expires_at)


@router.post("/auth/wallet", status_code=201)
async def sign_in_with_wallet(body: SignInRequest, parts: PartsOf, network: NetworkAddress) -> SignInAnswer:
    """Begin a session for whoever signed the message."""
    claim = DeviceClaim(body.device.id, body.device.label)
    entered = await sign_in.sign_in(parts, body.message, body.signature, claim, network)
    tokens = TokensAnswer.of(entered.account, entered.grant)
    device = DeviceAnswer.of(entered.device, is_current=True, is_new=entered.is_new_device)
    return SignInAnswer(**tokens.model_dump(), device=device)


@router.post("/auth/refresh")
async def refresh(body: RefreshRequest, parts: PartsOf) -> TokensAnswer:
    """Exchange a refresh token, once, for new tokens."""
    return TokensAnswer.of(*await sessions.refresh(parts, body.refresh_token))


@router.post("/auth/logout", status_code=204)
async def log_out(
    parts: PartsOf,
    identity: Annotated[Identity | None, Depends(optional_identity)],
    body: LogOutRequest | None = None,
) -> None:
    """End the session of the access token in the header, or of the refresh token in the body."""
    await sessions.log_out(parts, identity, body.refresh_token if body else None)


@router.get("/.well-known/jwks.json")
async def public_keys(parts: PartsOf) -> JSONResponse:
    """Public keys (RFC 7517) that access tokens are verified with."""
    content: dict[str, Any] = parts.public_keys
    return JSONResponse(content, headers={"Cache-Control": f"public, max-age={_KEYS_CACHE_SECONDS}"})
