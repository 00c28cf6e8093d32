"""Users: handles, roles, time zones, KYC levels and limits."""

import re
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

MAX_KYC_LEVEL = 3
MAX_LIMIT_CENTS = 10**15
HANDLE_RANDOM_BYTES = 6
LIMIT_CURRENCY = "USD"
LIMIT_DECIMALS = 2

ROLES = ("user", "business", "merchant", "admin")
_BASE_ROLE = "user"
_HANDLE_FORM = re.compile(r"[a-z][a-z0-9_]{2,31}")
_RESERVED_HANDLES = frozenset(
    {
        *("admin", "administrator", "all", "anonymous", "api", "billing", "bot", "compliance", "everyone"),
        *("finance", "fraud", "help", "here", "hostmaster", "info", "me", "mod", "moderator", "null"),
        *("official", "operator", "payments", "postmaster", "root", "sales", "security", "snow", "snowrail"),
        *("staff", "status", "support", "system", "team", "treasury", "undefined", "wallet", "webmaster"),
    }
)
_FIRST_WORDS = (
    *("amber", "arctic", "autumn", "bold", "brave", "bright", "calm", "clear", "clever", "copper", "coral"),
    *("crimson", "curious", "dapper", "eager", "early", "fair", "frosty", "gentle", "golden", "happy"),
    *("hidden", "honest", "indigo", "ivory", "jolly", "keen", "kind", "lively", "lucky", "lunar", "mellow"),
    *("merry", "misty", "modest", "noble", "polar", "proud", "quick", "quiet", "rapid", "silver", "snowy"),
    *("solar", "steady", "sunny", "swift", "tidy", "upland", "velvet", "vivid", "warm", "wild", "wise"),
    *("winter", "witty", "wooden", "zesty", "agile", "alpine", "balmy", "breezy", "candid", "cosmic"),
)
_SECOND_WORDS = (
    *("badger", "beaver", "bison", "crane", "cricket", "deer", "dolphin", "eagle", "elk", "falcon", "ferret"),
    *("finch", "fox", "gecko", "goose", "hare", "hawk", "heron", "ibex", "jay", "kestrel", "kingfisher"),
    *("lark", "lemur", "linnet", "lynx", "magpie", "marmot", "marten", "mole", "moose", "newt", "otter"),
    *("owl", "panda", "panther", "pelican", "penguin", "petrel", "pika", "plover", "puffin", "quail"),
    *("raven", "robin", "salmon", "seal", "shrew", "snipe", "sparrow", "stoat", "stork", "swan", "swift"),
    *("tapir", "tern", "thrush", "tiger", "toad", "trout", "vole", "walrus", "weasel", "wren"),
)


class InvalidChange(Exception):
    """A change to a user that is not allowed.

    Attributes:
        code: stable code.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Account:
    """A user, as the account table has it.

    Attributes:
        address: EIP-55 address of the wallet; it never changes.
        roles: sorted.
        version: rises with each change that others are told of.
    """

    user_id: UUID
    address: str
    handle: str
    roles: tuple[str, ...]
    kyc_level: int
    time_zone: str
    version: int
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may leave, in cents of US dollars; each at least one cent.

    Raises:
        InvalidChange: not ordered, or out of range.
    """

    per_transaction: int
    per_day: int
    per_month: int

    def __post_init__(self) -> None:
        if not 0 < self.per_transaction <= self.per_day <= self.per_month <= MAX_LIMIT_CENTS:
            raise InvalidChange(
                "limits_out_of_order", "limits are positive, and rise from transaction to day to month"
            )


@dataclass(frozen=True, slots=True)
class LimitChange:
    """New values of some limits, in cents of US dollars; None leaves a limit as it is."""

    per_transaction: int | None = None
    per_day: int | None = None
    per_month: int | None = None

    def applied_to(self, limits: Limits) -> Limits:
        """Return the limits after the change. Raises InvalidChange when they would not be in order."""
        return Limits(
            limits.per_transaction if self.per_transaction is None else self.per_transaction,
            limits.per_day if self.per_day is None else self.per_day,
            limits.per_month if self.per_month is None else self.per_month,
        )


def generate_handle(randomness: bytes) -> str:
    """Return a handle of two words and four digits, such as `amber_otter_4821`.

    Args:
        randomness: `HANDLE_RANDOM_BYTES` random bytes.
    """
    value = int.from_bytes(randomness, "big")
    value, first = divmod(value, len(_FIRST_WORDS))
    value, second = divmod(value, len(_SECOND_WORDS))
    return f"{_FIRST_WORDS[first]}_{_SECOND_WORDS[second]}_{value % 10_000:04d}"


def check_handle(handle: str) -> None:
    """Check that a person may go by this handle.

    A handle begins with a letter, so that it is never mistaken for an address or an amount.

    Raises:
        InvalidChange: malformed or reserved.
    """
    if not _HANDLE_FORM.fullmatch(handle):
        raise InvalidChange(
            "handle_malformed",
            "a handle is 3 to 32 lower-case letters, digits and underscores, and begins with a letter",
        )
    if handle in _RESERVED_HANDLES:
        raise InvalidChange("handle_reserved", "this handle is reserved")


def check_time_zone(name: str) -> None:
    """Check that this is an IANA time zone. Raises InvalidChange."""
    if name not in _time_zones():
        raise InvalidChange("time_zone_unknown", "this is not an IANA time zone, such as Europe/Berlin")


def initial_roles(is_first_administrator: bool) -> tuple[str, ...]:
    """Return the roles of a user at the first sign-in, sorted."""
    return tuple(sorted({_BASE_ROLE, "admin"} if is_first_administrator else {_BASE_ROLE}))


def change_roles(
    current: Iterable[str], grant: Iterable[str], revoke: Iterable[str], *, is_own: bool
) -> tuple[str, ...]:
    """Return a user's roles after an administrator's change, sorted.

    Args:
        is_own: whether the administrator changes their own roles.

    Raises:
        InvalidChange: an unknown role, one both granted and revoked, the role that everybody has, or an
            administrator's own `admin`.
    """
    granted, revoked = set(grant), set(revoke)
    unknown = (granted | revoked) - set(ROLES)
    if unknown:
        raise InvalidChange("role_unknown", f"there is no role {min(unknown)}")
    if granted & revoked:
        raise InvalidChange("role_contradiction", f"{min(granted & revoked)} is both granted and revoked")
    if _BASE_ROLE in revoked:
        raise InvalidChange("role_required", f"everybody has the role {_BASE_ROLE}")
    if is_own and "admin" in revoked:
        raise InvalidChange("role_own_admin", "another administrator has to take this role from you")
    return tuple(sorted((set(current) | granted) - revoked))


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
