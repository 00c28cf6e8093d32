"""What can go wrong, as exceptions."""

from collections.abc import Mapping
from typing import Any


class SnowrailError(Exception):
    """Something that the platform or the chain refused."""


class ApiError(SnowrailError):
    """An HTTP answer that is a problem (RFC 9457).

    Attributes:
        status: HTTP status.
        code: stable code that programs may match on; `http_error` where the answer had none.
        detail: what happened and what to do, for a person.
        retry_after_seconds: when to try again, where the answer says so.
        body: the whole problem object.
    """

    def __init__(
        self, status: int, code: str, detail: str, retry_after_seconds: float | None, body: Mapping[str, Any]
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.body = body


class NotSignedIn(SnowrailError):
    """The call needs a signed-in user."""


class ConnectionEnded(SnowrailError):
    """The live connection is closed for good; `code` says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class TransactionFailed(SnowrailError):
    """A node refused a transaction or a call, or the transaction was reverted."""
