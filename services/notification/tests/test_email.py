"""E-mail against a real mail server: what arrives, what fails, what is never sent twice."""

import re
import subprocess
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from snowrail_testkit import Broker, Builder, RunningService, eventually
from snowrail_testkit.emulators.mail import MailMode, MailServer
from snowrail_testkit.tokens import TokenIssuer

from .support import (
    SECRET,
    Caller,
    MovingClock,
    StartNotification,
    let_pass,
    register,
    states,
    tell_critical,
    tell_payment,
    until,
)


def options(server: MailServer, **more: Any) -> dict[str, Any]:
    return {
        "channel_secret": SECRET,
        "smtp_host": "127.0.0.1",
        "smtp_port": server.port,
        "smtp_security": "none",
        "email_from": "Snowrail <told@snowrail.example>",
        "email_per_second": 1_000,
        "deliver_every_seconds": 0.05,
        "attempt_timeout_seconds": 10,
        **more,
    }


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return body.get_content()


def link_in(mail: EmailMessage) -> str:
    found = re.search(r"https?://[^/\s]+/api/notification(\S+)", text_of(mail))
    assert found is not None
    return found.group(1)


async def confirmed(
    server: MailServer, caller: Caller, running: RunningService, address: str = "alice@example.com"
) -> None:
    """Connect an address; the mails of that are forgotten."""
    await caller("PUT", "/channels/email", 202, {"address": address})
    await until(lambda: bool(server.received))
    link = link_in(server.received[0])
    assert (await running.http.get(link)).status_code == 200
    assert (await running.http.post(link)).status_code == 200
    await until(lambda: len(server.received) == 2)  # told of the new channel
    server.received.clear()


async def test_nothing_is_sent_to_an_address_before_its_link_was_followed(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    with MailServer() as server:
        running = await start_notification(moving_clock, **options(server))
        user = await register(broker, build, running)
        caller = Caller(running, issuer, moving_clock, user)
        await caller("PUT", "/channels/email", 202, {"address": "alice@example.com"})
        await until(lambda: len(server.received) == 1)
        await tell_critical(broker, build, user)
        alert = "SELECT 1 FROM notification WHERE type = 'security_alert'"
        await eventually(lambda: running.runtime.database.fetch(alert))
        listed = (await caller("GET", "/channels"))[0]
        assert (listed["channel"], listed["configured"]) == ("email", True)
        assert (listed["contacts"][0]["label"], listed["contacts"][0]["confirmed"]) == (
            "a…@example.com",
            False,
        )
        link = link_in(server.received[0])
        assert (await running.http.get(link)).status_code == 200
        assert not (await caller("GET", "/channels"))[0]["contacts"][0]["confirmed"]
        assert (await running.http.post(link)).status_code == 200
        assert (await running.http.post(link)).status_code == 410
        assert (await running.http.post(link[:-3] + "AAA")).status_code == 410
        await until(lambda: len(server.received) == 2)
        assert server.received[1]["Subject"] == "New channel connected"
        stored = await running.runtime.database.fetch("SELECT sealed_address FROM contact")
        assert b"alice@example.com" not in stored[0]["sealed_address"]


async def test_a_mail_is_whole_and_can_be_switched_off_with_one_click(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    with MailServer() as server:
        running = await start_notification(moving_clock, **options(server))
        user = await register(broker, build, running)
        caller = Caller(running, issuer, moving_clock, user)
        await confirmed(server, caller, running)
        await tell_payment(broker, build, user)
        await until(lambda: len(server.received) == 1)
        mail = server.received[0]
        notice = (await caller("GET", "/notifications?type=payment_received"))["items"][0]
        assert mail["Message-ID"] == f"<{notice['id']}@snowrail.example>"
        assert (mail["To"], mail["Subject"]) == ("alice@example.com", "Payment received")
        assert mail.get_content_type() == "multipart/alternative"
        assert "1 CRO arrived" in text_of(mail)
        html = mail.get_body(("html",))
        assert html is not None
        assert "1 CRO arrived" in html.get_content()
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        link = mail["List-Unsubscribe"].strip("<>").partition("/api/notification")[2]
        assert (await running.http.get(link)).status_code == 200
        answer = await running.http.post(link, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert (await running.http.post("/unsubscribe?token=AAAA")).status_code == 404
        preferences = await caller("GET", "/preferences")
        chosen = {(item["type"], item["channel"]): item["enabled"] for item in preferences}
        assert chosen["payment_received", "email"] is False
        assert chosen["payment_received", "in_app"] is True
        await tell_payment(broker, build, user)
        await tell_critical(broker, build, user)
        await until(lambda: len(server.received) == 2)
        assert server.received[1]["Subject"] == "New device signed in"
        assert server.received[1]["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    ("mode", "critical", "sent", "state"),
    [
        (MailMode.TEMPORARY, False, 1, "sent"),
        (MailMode.PERMANENT, False, 0, "failed"),
        (MailMode.REFUSED_AFTER_DATA, False, 0, "failed"),
        (MailMode.SILENT_AFTER_DATA, False, 1, "unknown"),
        (MailMode.SILENT_AFTER_DATA, True, 2, "sent"),
    ],
)
async def test_what_follows_a_failure(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
    mode: MailMode,
    critical: bool,
    sent: int,
    state: str,
) -> None:
    with MailServer() as server:
        patience = 2 if mode is MailMode.SILENT_AFTER_DATA else 10
        running = await start_notification(moving_clock, **options(server, attempt_timeout_seconds=patience))
        user = await register(broker, build, running)
        await confirmed(server, Caller(running, issuer, moving_clock, user), running)
        server.fail(mode, 1)
        tell, type_ = (tell_critical, "security_alert") if critical else (tell_payment, "payment_received")
        await tell(broker, build, user)

        async def ended() -> bool:
            await let_pass(running, moving_clock, 2)
            seen = await states(running, "email", type_)  # the first alert told of the address itself
            return seen == (["sent", state] if critical else [state])

        await eventually(ended)
        assert len(server.received) == sent
        assert len({mail["Message-ID"] for mail in server.received}) == min(sent, 1)
        moving_clock.advance(3_600)
        await tell_critical(broker, build, user)  # the next mail shows that nothing else was waiting
        await until(lambda: len(server.received) == sent + 1)


async def test_a_server_that_is_away_is_tried_again(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    with MailServer() as server:
        settings = options(server)
        running = await start_notification(moving_clock, **settings)
        user = await register(broker, build, running)
        await confirmed(server, Caller(running, issuer, moving_clock, user), running)
        controller = server._controller  # pyright: ignore[reportPrivateUsage]
        assert controller is not None
        controller.stop()
        await tell_payment(broker, build, user)

        async def tried() -> bool:
            rows = await running.runtime.database.fetch("SELECT attempts, state, error FROM delivery")
            return any(row["attempts"] >= 2 and row["state"] == "pending" for row in rows)

        async def tried_again() -> bool:
            await let_pass(running, moving_clock, 3)
            return await tried()

        await eventually(tried_again)
        server._controller = None  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for this machine."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


async def test_starttls_and_login_are_used_and_certificates_checked(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
    certificate: tuple[Path, Path],
) -> None:
    login = ("snowrail", "its password")
    with MailServer(certificate=certificate, login=login) as server:
        secure = options(
            server,
            smtp_security="starttls",
            smtp_ca_file=certificate[0],
            smtp_username=login[0],
            smtp_password=login[1],
        )
        running = await start_notification(moving_clock, **secure)
        user = await register(broker, build, running)
        await Caller(running, issuer, moving_clock, user)(
            "PUT", "/channels/email", 202, {"address": "alice@example.com"}
        )
        await until(lambda: len(server.received) == 1)


async def test_a_wrong_certificate_or_password_sends_nothing(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
    certificate: tuple[Path, Path],
) -> None:
    with MailServer(certificate=certificate, login=("snowrail", "another")) as server:
        running = await start_notification(
            moving_clock,
            **options(server, smtp_security="starttls", smtp_username="snowrail", smtp_password="x"),
        )
        user: UUID = await register(broker, build, running)
        await Caller(running, issuer, moving_clock, user)(
            "PUT", "/channels/email", 202, {"address": "alice@example.com"}
        )

        async def refused() -> bool:
            rows = await running.runtime.database.fetch("SELECT error, state FROM delivery")
            return [row["state"] for row in rows] == ["pending"] and "certificate" in (rows[0]["error"] or "")

        await eventually(refused)
        assert server.received == []


@pytest.mark.parametrize(
    "address", ["nobody", "a@b", "a b@example.com", "a@example.com\nBcc: x@y.zz", "@x.yy"]
)
async def test_what_is_no_address_is_refused(
    start_notification: StartNotification, moving_clock: MovingClock, issuer: TokenIssuer, address: str
) -> None:
    with MailServer() as server:
        running = await start_notification(moving_clock, **options(server))
        caller = Caller(running, issuer, moving_clock, UUID(int=7))
        await caller("PUT", "/channels/email", 422, {"address": address})
        assert await running.runtime.database.fetch("SELECT 1 FROM contact") == []


async def test_a_channel_that_is_not_configured_is_not_attempted(
    notification: RunningService, clock: Any, issuer: TokenIssuer
) -> None:
    caller = Caller(notification, issuer, clock, UUID(int=7))
    await caller("PUT", "/channels/email", 409, {"address": "alice@example.com"})
    await caller("POST", "/telegram/link", 409)
    await caller("GET", "/push/key", 409)
    assert [item["configured"] for item in await caller("GET", "/channels")] == [False, False, False]
