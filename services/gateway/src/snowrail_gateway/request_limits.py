"""The HTTP limits at the edge: per client address, and per user who shows a valid token."""

import math
from collections import OrderedDict

from starlette.types import Scope

from snowrail_gateway.edge import WEBHOOKS
from snowrail_gateway.limits import WindowLimit, address_key
from snowrail_gateway.metrics import RATE_LIMITED
from snowrail_gateway.revocations import Revocations
from snowrail_gateway.settings import Settings
from snowrail_kit.auth import Identity, InvalidToken, TokenVerifier
from snowrail_kit.clock import Clock
from snowrail_kit.problems import Problem

_REMEMBERED_TOKENS = 4_096
_BEARER = "bearer "


class RequestLimits:
    """Counts requests in memory; each gateway counts for itself."""

    def __init__(
        self, settings: Settings, verifier: TokenVerifier, clock: Clock, revocations: Revocations
    ) -> None:
        keys = settings.rate_limit_keys
        self._by_address = WindowLimit(settings.address_requests_per_minute, 60, keys)
        self._handshakes = WindowLimit(settings.address_handshakes_per_minute, 60, keys)
        self._webhooks = WindowLimit(settings.webhook_requests_per_minute, 60, keys)
        self._by_user = WindowLimit(settings.user_requests_per_hour, 3_600, keys)
        self._verifier = verifier
        self._clock = clock
        self._revocations = revocations
        self._tokens: OrderedDict[str, Identity] = OrderedDict()

    def admit(self, scope: Scope) -> None:
        """Count a request.

        Raises:
            Problem: 429 that says when to try again; 401 when the session of the token is over.
        """
        now = self._clock.now().timestamp()
        if scope["path"] in WEBHOOKS:
            _refuse_for("webhooks", self._webhooks.take(address_of(scope), now))
            return
        _refuse_for("address", self._by_address.take(address_of(scope), now))
        identity = self._identity(scope)
        if identity is not None:
            self.refuse_ended(identity)
            _refuse_for("user", self._by_user.take(str(identity.user_id), now))

    def refuse_ended(self, identity: Identity) -> None:
        """Raise a 401 problem when a session is over, though its access token is still good."""
        if self._revocations.has_ended(identity.session_id):
            raise Problem(401, "session_ended", "This session has ended; sign in again.")

    def admit_handshake(self, scope: Scope) -> None:
        """Count a WebSocket handshake. Raises a 429 problem that says when to try again."""
        wait_seconds = self._handshakes.take(address_of(scope), self._clock.now().timestamp())
        _refuse_for("handshakes", wait_seconds)

    def _identity(self, scope: Scope) -> Identity | None:
        """Return who a valid token names; checking a signature again for each request would cost more."""
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        text = header.decode("latin-1")
        if not text.lower().startswith(_BEARER):
            return None
        token = text[len(_BEARER) :].strip()
        identity = self._tokens.get(token)
        if identity is not None and identity.expires_at > self._clock.now():
            self._tokens.move_to_end(token)
            return identity
        try:
            identity = self._verifier.verify(token, self._clock.now())
        except InvalidToken:
            return None
        self._tokens[token] = identity
        if len(self._tokens) > _REMEMBERED_TOKENS:
            self._tokens.popitem(last=False)
        return identity


def address_of(scope: Scope) -> str:
    """Return what the client's address is counted under."""
    return address_key(scope["client"][0]) if scope["client"] else "unknown"


def _refuse_for(limit: str, wait_seconds: float) -> None:
    if wait_seconds <= 0:
        return
    RATE_LIMITED.labels(limit).inc()
    after = max(1, math.ceil(wait_seconds))
    raise Problem(
        429,
        "rate_limited",
        f"Too many requests; try again in {after} s.",
        {"retry_after_seconds": after},
        {"Retry-After": str(after)},
    )
