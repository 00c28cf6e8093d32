"""Sessions go on by rotating refresh tokens, and end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from snowrail_accounts.domain.people import Account
from snowrail_accounts.domain.sessions import (
    REFRESH_TOKEN_BYTES,
    RefreshOutcome,
    decide_refresh,
    encode_token,
    refresh_token_expiry,
    token_hash,
)
from snowrail_accounts.parts import Parts
from snowrail_accounts.store import sessions as store
from snowrail_accounts.store import sign_in as sign_in_store
from snowrail_events import PLATFORM_FEED, FeedEventV1
from snowrail_kit import audit
from snowrail_kit.audit import Act
from snowrail_kit.auth import Identity
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.unit_of_work import Transaction

_PRUNE_ROWS = 1_000
_TOKEN_LEEWAY = timedelta(seconds=60)

_REFUSALS = {
    RefreshOutcome.UNKNOWN: ("refresh_token_unknown", "This refresh token is unknown; sign in again."),
    RefreshOutcome.EXPIRED: ("refresh_token_expired", "This session has expired; sign in again."),
    RefreshOutcome.ENDED: ("session_ended", "This session has ended; sign in again."),
    RefreshOutcome.REUSED: (
        "refresh_token_reused",
        "This refresh token was used before, so the session was ended to be safe; sign in again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens of a session. Only the client has the refresh token; we keep its hash."""

    access_token: str
    expires_in_seconds: int
    refresh_token: str
    refresh_expires_at: datetime


async def grant_tokens(
    parts: Parts,
    tx: Transaction,
    account: Account,
    session_id: UUID,
    device_id: UUID,
    session_expires_at: datetime,
) -> Grant:
    """Sign an access token for a session and keep the hash of a new refresh token."""
    refresh_token = encode_token(parts.random_bytes(REFRESH_TOKEN_BYTES))
    idle = timedelta(days=parts.settings.session_idle_days)
    refresh_expires_at = refresh_token_expiry(tx.now, idle, session_expires_at)
    await store.insert_token(tx.connection, token_hash(refresh_token), session_id, tx.now, refresh_expires_at)
    identity = Identity(
        user_id=account.user_id,
        handle=account.handle,
        address=account.address,
        roles=frozenset(account.roles),
        device_id=device_id,
        session_id=session_id,
        expires_at=tx.now + timedelta(seconds=parts.settings.access_token_seconds),
    )
    return Grant(
        access_token=parts.signing_key.sign(identity, tx.now),
        expires_in_seconds=parts.settings.access_token_seconds,
        refresh_token=refresh_token,
        refresh_expires_at=refresh_expires_at,
    )


async def refresh(parts: Parts, refresh_token: str) -> tuple[Account, Grant]:
    """Exchange a refresh token for new tokens, with the user's roles as they are now.

    Raises:
        Problem: 401 when the token is unknown, expired or used, or its session ended. A used one ends it.
    """
    presented_hash = token_hash(refresh_token)
    async with parts.transaction() as tx:
        presented = await store.present_token(tx.connection, presented_hash)
        outcome = decide_refresh(presented.state if presented else None, tx.now)
        if presented is not None and outcome is RefreshOutcome.ROTATED:
            await store.use_token(tx.connection, presented_hash, presented.session_id, tx.now)
            grant = await grant_tokens(
                parts,
                tx,
                presented.account,
                presented.session_id,
                presented.device_id,
                presented.state.session_expires_at,
            )
            return presented.account, grant
        if presented is not None and outcome is RefreshOutcome.REUSED:
            await _end_reused(parts, tx, presented)
    code, detail = _REFUSALS[outcome]
    raise Problem(401, code, detail)


async def _end_reused(parts: Parts, tx: Transaction, presented: store.PresentedToken) -> None:
    user_id = presented.account.user_id
    await store.end_session(tx.connection, user_id, presented.session_id, "refresh_token_reused", tx.now)
    tell_ended(parts, tx, [presented.session_id], "refresh_token_reused")
    details = {"session": str(presented.session_id), "device": str(presented.device_id)}
    await audit.append(
        tx.connection, [Act("accounts", "session.token_reused", str(user_id), details)], tx.now
    )


async def log_out(parts: Parts, identity: Identity | None, refresh_token: str | None) -> None:
    """End the session of an access token, or of a refresh token. One that has ended stays so.

    Raises:
        Problem: 401 when neither names a session.
    """
    async with parts.transaction() as tx:
        if identity is not None:
            await store.end_session(
                tx.connection, identity.user_id, identity.session_id, "logged_out", tx.now
            )
            return
        presented = await store.present_token(tx.connection, token_hash(refresh_token or ""))
        if presented is not None:
            await store.end_session(
                tx.connection, presented.account.user_id, presented.session_id, "logged_out", tx.now
            )
            return
    raise Problem(401, "unauthenticated", "Send an access token or a refresh token.")


async def end_session(parts: Parts, identity: Identity, session_id: UUID) -> None:
    """End one of the caller's sessions. Raises a 404 problem when there is no such live session."""
    async with parts.transaction() as tx:
        if not await store.end_session(tx.connection, identity.user_id, session_id, "revoked", tx.now):
            raise not_found("session")
        tell_ended(parts, tx, [session_id], "revoked")


def tell_ended(parts: Parts, tx: Transaction, session_ids: Sequence[UUID], reason: str) -> None:
    """Have every gateway end these sessions now: their access tokens would work for some minutes more."""
    if not session_ids:
        return
    lifetime = timedelta(seconds=parts.settings.access_token_seconds) + _TOKEN_LEEWAY
    tx.emit(
        FeedEventV1(
            user_id=PLATFORM_FEED,
            event_id=tx.ids.new(),
            name="session:ended",
            data={
                "session_ids": [str(item) for item in session_ids],
                "reason": reason,
                "until": (tx.now + lifetime).isoformat(),
            },
            occurred_at=tx.now,
        )
    )


async def prune(parts: Parts) -> bool:
    """Delete what has expired, a bounded number of rows. True when there may be more."""
    async with parts.transaction() as tx:
        nonces = await sign_in_store.prune(tx.connection, tx.now, _PRUNE_ROWS)
        sessions = await store.prune(tx.connection, tx.now, _PRUNE_ROWS)
    return nonces >= _PRUNE_ROWS or sessions >= _PRUNE_ROWS
