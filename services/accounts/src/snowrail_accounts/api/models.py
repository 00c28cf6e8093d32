"""Bodies of requests and answers."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from snowrail_accounts.domain.people import (
    LIMIT_CURRENCY,
    LIMIT_DECIMALS,
    MAX_LIMIT_CENTS,
    Account,
    LimitChange,
    Limits,
)
from snowrail_accounts.store.sessions import Device, Session
from snowrail_accounts.usecases.sessions import Grant
from snowrail_events.fields import Atoms
from snowrail_kit.database import Row

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]
Token = Annotated[str, Field(min_length=1, max_length=100)]
Cents = Annotated[Atoms, Field(description=f"Decimal integer of US cents, at most {MAX_LIMIT_CENTS}.")]


class Request(BaseModel):
    """A body that holds nothing unknown."""

    model_config = ConfigDict(extra="forbid")


class NonceRequest(Request):
    """Who wants to sign in, and with a wallet on which chain."""

    address: str = Field(max_length=100, examples=["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"])
    chain_id: int = Field(ge=0, lt=2**53)


class NonceAnswer(BaseModel):
    """The message to sign with `personal_sign`, and until when."""

    nonce: str
    message: str
    expires_at: datetime


class DeviceClaimBody(Request):
    """The device as the client knows it; `id` as an earlier sign-in answered it."""

    id: UUID | None = None
    label: Label = "Unnamed device"


class SignInRequest(Request):
    """A signed EIP-4361 message."""

    message: str = Field(max_length=4_000)
    signature: str = Field(max_length=200)
    device: DeviceClaimBody = DeviceClaimBody()


class UserAnswer(BaseModel):
    """A user, as that user and administrators see it."""

    id: UUID
    handle: str
    address: str
    roles: tuple[str, ...]
    kyc_level: int
    time_zone: str
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> "UserAnswer":
        """Return the answer about a user."""
        return cls(
            id=account.user_id,
            handle=account.handle,
            address=account.address,
            roles=account.roles,
            kyc_level=account.kyc_level,
            time_zone=account.time_zone,
            created_at=account.created_at,
        )


class PublicUserAnswer(BaseModel):
    """What anybody may know of a user."""

    handle: str
    address: str


class DeviceAnswer(BaseModel):
    """A device; `approved` says that it is known to be the user's own."""

    id: UUID
    label: str
    network_address: str
    first_seen_at: datetime
    last_seen_at: datetime
    approved: bool
    is_current: bool
    is_new: bool = False

    @classmethod
    def of(cls, device: Device, *, is_current: bool, is_new: bool = False) -> "DeviceAnswer":
        """Return the answer about a device."""
        return cls(
            id=device.device_id,
            label=device.label,
            network_address=device.network_address,
            first_seen_at=device.first_seen_at,
            last_seen_at=device.last_seen_at,
            approved=device.approved_at is not None,
            is_current=is_current,
            is_new=is_new,
        )


class SessionAnswer(BaseModel):
    """A live session."""

    id: UUID
    device_id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    is_current: bool

    @classmethod
    def of(cls, session: Session, *, is_current: bool) -> "SessionAnswer":
        """Return the answer about a session."""
        return cls(
            id=session.session_id,
            device_id=session.device_id,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            expires_at=session.expires_at,
            is_current=is_current,
        )


class TokensAnswer(BaseModel):
    """Tokens of a session, and whose it is. A refresh token works once."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme, not a secret
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str
    refresh_expires_at: datetime
    user: UserAnswer

    @classmethod
    def of(cls, account: Account, grant: Grant) -> "TokensAnswer":
        """Return the answer with new tokens."""
        return cls(
            access_token=grant.access_token,
            expires_in=grant.expires_in_seconds,
            refresh_token=grant.refresh_token,
            refresh_expires_at=grant.refresh_expires_at,
            user=UserAnswer.of(account),
        )


class SignInAnswer(TokensAnswer):
    """A new session and its device."""

    device: DeviceAnswer


class RefreshRequest(Request):
    """The refresh token that was answered last."""

    refresh_token: Token


class LogOutRequest(Request):
    """Ends the session of this refresh token where no access token is sent."""

    refresh_token: Token | None = None


class ProfileChange(Request):
    """What to change; what is left out stays."""

    handle: str | None = Field(default=None, max_length=100)
    time_zone: str | None = Field(default=None, max_length=64)


class LimitsAnswer(BaseModel):
    """How much may leave per transaction, day and month, in minor units of `currency`."""

    currency: str = LIMIT_CURRENCY
    decimals: int = LIMIT_DECIMALS
    per_transaction: Cents
    per_day: Cents
    per_month: Cents

    @classmethod
    def of(cls, limits: Limits) -> "LimitsAnswer":
        """Return the answer about limits."""
        return cls(per_transaction=limits.per_transaction, per_day=limits.per_day, per_month=limits.per_month)


class LevelLimitsAnswer(LimitsAnswer):
    """Limits of one KYC level."""

    kyc_level: int


class UserLimitsAnswer(LimitsAnswer):
    """Limits that hold for one user; `is_own` when they were set for that user alone."""

    kyc_level: int
    is_own: bool


class RolesChange(Request):
    """Roles to grant and to revoke, and why."""

    grant: list[str] = Field(default=[], max_length=10)
    revoke: list[str] = Field(default=[], max_length=10)
    reason: Reason


class KycChange(Request):
    """The new KYC level, and why."""

    kyc_level: int = Field(ge=0, le=3)
    reason: Reason


class LimitsChange(Request):
    """Limits to change, in US cents, and why; what is left out stays."""

    per_transaction: Cents | None = None
    per_day: Cents | None = None
    per_month: Cents | None = None
    reason: Reason

    @property
    def change(self) -> LimitChange:
        """The change without its reason."""
        return LimitChange(self.per_transaction, self.per_day, self.per_month)


class OwnLimitsRemoval(Request):
    """Why a user's own limits are taken away."""

    reason: Reason


class AuditEntryAnswer(BaseModel):
    """One entry of the audit log."""

    position: int
    recorded_at: datetime
    actor: str
    action: str
    subject: str
    details: str = Field(description="JSON, exactly as it was hashed.")
    hash: str

    @classmethod
    def of(cls, row: Row) -> "AuditEntryAnswer":
        """Return the answer about an entry."""
        fields = ("position", "recorded_at", "actor", "action", "subject", "details")
        return cls(**{name: row[name] for name in fields}, hash=row["hash"].hex())


class AuditPage(BaseModel):
    """Entries, newest first; `next` is the position to go on from."""

    items: list[AuditEntryAnswer]
    next: int | None


class AuditVerification(BaseModel):
    """Whether the whole audit log fits together, and where it does not."""

    intact: bool
    entries: int
    broken_at: int | None
    head: str
