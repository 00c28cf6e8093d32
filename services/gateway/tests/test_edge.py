"""The table of public paths, and how a request's path is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_gateway.edge import ROUTES, SERVICES, BadPath, encode_path, public_path, resolve
from snowrail_gateway.settings import Settings


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/intent/intents/5", ("intent", "/intents/5")),
        ("/api/payment-orchestrator", ("payment-orchestrator", "/")),
        ("/api/auth/nonce", ("accounts", "/auth/nonce")),
        ("/api/user/profile", ("accounts", "/user/profile")),
        ("/api/user/balance", ("chain-monitor", "/user/balance")),
        ("/api/user/history", ("payment-orchestrator", "/user/history")),
        ("/api/intents", ("intent", "/intents")),
        ("/api/intents/upcoming", ("intent", "/intents/upcoming")),
        ("/api/stats/gas-prices", ("intent", "/stats/gas-prices")),
        ("/chat", ("chat", "/messages")),
        ("/pay", ("intent", "/pay")),
        ("/fraud", ("fraud", "/fraud")),
        ("/route", ("routing", "/route")),
        ("/payment", ("gateway", "/payment")),
        ("/api/intents-not", ("gateway", "/api/intents-not")),
        ("/api/unknown", ("gateway", "/api/unknown")),
        ("/", ("gateway", "/")),
        ("/feed", ("gateway", "/feed")),
        ("/internal", None),
        ("/api/intent/internal/x", None),
        ("/api/intent/Internal", None),
        ("/api/chain-monitor/internal", None),
        ("/api/intent/metrics", None),
        ("/api/intent/health/ready", None),
        ("/api/intent/internals", ("intent", "/internals")),
    ],
)
def test_the_table(path: str, target: tuple[str, str] | None) -> None:
    assert resolve(path) == target


def test_a_relative_path_is_none() -> None:
    with pytest.raises(ValueError, match="not an absolute path"):
        resolve("api")


def test_more_specific_routes_come_first() -> None:
    prefixes = [route.prefix for route in ROUTES]
    for index, prefix in enumerate(prefixes):
        assert not any(prefix.startswith(earlier + "/") for earlier in prefixes[:index] if earlier)
    assert prefixes[-1] == ""


def test_a_local_stack_knows_every_service() -> None:
    assert set(Settings().upstreams) == set(SERVICES)


@pytest.mark.parametrize(
    "raw",
    [
        b"/api/intent/../internal",
        b"/api/intent/%2e%2e/internal",
        b"/api/./intent",
        b"/api//intent",
        b"//api",
        b"/api/intent/x%2Finternal",
        b"/api/intent/%5c..%5cinternal",
        b"/api/intent/%00",
        b"/api/intent/%0d%0aX:1",
        b"/api/intent/%ff",
    ],
)
def test_an_ambiguous_path_is_refused(raw: bytes) -> None:
    with pytest.raises(BadPath):
        public_path(raw)


@pytest.mark.parametrize("raw", [b"/api/%69nternal/internal", b"/api/intent/%69nternal/x"])
def test_an_encoded_name_is_the_name(raw: bytes) -> None:
    assert resolve(public_path(raw)) is None


@given(st.lists(st.text(min_size=1), min_size=1))
def test_a_path_survives_being_passed_on(segments: list[str]) -> None:
    try:
        path = public_path(encode_path("/" + "/".join(segments)).encode())
    except (BadPath, UnicodeEncodeError):
        return
    assert path == "/" + "/".join(segments)
