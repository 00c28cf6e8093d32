"""Users as the events that other services know them by."""

from uuid import UUID

from snowrail_accounts.domain.people import Account
from snowrail_events import UserRegisteredV1, UserUpdatedV1


def registered(account: Account) -> UserRegisteredV1:
    """Return the fact that a user is new."""
    return UserRegisteredV1(
        user_id=account.user_id,
        handle=account.handle,
        address=account.address,
        roles=account.roles,
        kyc_level=account.kyc_level,
        time_zone=account.time_zone,
        changed_at=account.changed_at,
    )


def updated(account: Account, request_id: UUID | None = None) -> UserUpdatedV1:
    """Return the fact that a user changed, or that a command about them was followed."""
    return UserUpdatedV1(
        user_id=account.user_id,
        handle=account.handle,
        address=account.address,
        roles=account.roles,
        kyc_level=account.kyc_level,
        time_zone=account.time_zone,
        changed_at=account.changed_at,
        request_id=request_id,
    )
