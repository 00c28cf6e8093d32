"""A mail server on a free port: real SMTP by aiosmtpd, in a thread of its own, that fails on demand."""

import asyncio
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from snowrail_testkit.emulators.holding import Hold, Holding

_OK = "250 OK"


class MailMode(StrEnum):
    """What the server does with mail."""

    NORMAL = "normal"
    TEMPORARY = "temporary"
    """450 to the recipient."""
    PERMANENT = "permanent"
    """550 to the recipient."""
    REFUSED_AFTER_DATA = "refused_after_data"
    """554 to the text."""
    SILENT_AFTER_DATA = "silent_after_data"
    """The text is taken; the answer never comes."""


@dataclass
class MailServer:
    """The server and its mailboxes. Use as a context manager.

    Attributes:
        failures: how many mails the mode applies to before it is normal again.
        certificate: PEM files of certificate and key: STARTTLS is then required.
        answer_after_seconds: how long a mail that was taken waits for its answer.
        hold: where mails are kept waiting for good.
        login: user name and password that are then required.
        received: mails that were taken, in order.
    """

    mode: MailMode = MailMode.NORMAL
    failures: int = 0
    certificate: tuple[Path, Path] | None = None
    login: tuple[str, str] | None = None
    received: list[EmailMessage] = field(default_factory=list[EmailMessage])
    attempts: int = 0
    answer_after_seconds: float = 0
    hold: Hold = field(default_factory=Hold)
    port: int = 0
    _controller: Controller | None = None

    def __enter__(self) -> Self:
        """Start the server."""
        options: dict[str, Any] = {}
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            options |= {"tls_context": context, "require_starttls": True}
        if self.login is not None:
            options |= {"authenticator": self._authenticate, "auth_required": True}
        self._controller = _FreePortController(self, hostname="127.0.0.1", port=0, **options)
        self._controller.start()
        assert self._controller.server is not None, "a controller that started has a server"
        server = cast(asyncio.Server, self._controller.server)
        self.port = int(server.sockets[0].getsockname()[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        if self._controller is not None:
            self._controller.stop()

    def fail(self, mode: MailMode, failures: int = 1_000_000) -> None:
        """Have the next mails meet a failure."""
        self.mode, self.failures = mode, failures

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer RCPT."""
        self.attempts += 1
        mode = self._take(MailMode.TEMPORARY, MailMode.PERMANENT)
        if mode is MailMode.TEMPORARY:
            return "450 4.2.1 Mailbox busy, try again later"
        if mode is MailMode.PERMANENT:
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return _OK

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answer the text of a mail."""
        mode = self._take(MailMode.REFUSED_AFTER_DATA, MailMode.SILENT_AFTER_DATA)
        if mode is MailMode.REFUSED_AFTER_DATA:
            return "554 5.6.0 Message refused"
        await self.hold.reach(Holding.BEFORE_TAKING)
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self.received.append(message_from_bytes(content, policy=policy.default))
        await self.hold.reach(Holding.AFTER_TAKING)
        if mode is MailMode.SILENT_AFTER_DATA:
            await asyncio.sleep(3_600)
        await asyncio.sleep(self.answer_after_seconds)
        return _OK

    def _take(self, *modes: MailMode) -> MailMode:
        if self.mode not in modes:
            return MailMode.NORMAL
        mode = self.mode
        self.failures -= 1
        if self.failures <= 0:
            self.mode = MailMode.NORMAL
        return mode

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert self.login is not None, "only asked when a login is required"
        name, password = self.login
        matches = isinstance(data, LoginPassword) and data == LoginPassword(name.encode(), password.encode())
        return AuthResult(success=matches, handled=matches)


class _FreePortController(Controller):
    def _trigger_server(self) -> None:
        """Greet the server once at the port it got; the original would ask for port 0."""
        assert self.server is not None, "called once the server listens"
        self.port = int(cast(asyncio.Server, self.server).sockets[0].getsockname()[1])
        super()._trigger_server()
