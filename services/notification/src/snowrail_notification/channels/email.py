"""E-mail over SMTP (RFC 5321), by aiosmtplib."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from html import escape
from pathlib import Path
from typing import Literal

import aiosmtplib

from snowrail_kit.clock import Clock
from snowrail_notification.channels.sending import Outgoing, Result, not_now, unknown
from snowrail_notification.domain.catalogue import Priority
from snowrail_notification.domain.deliveries import Ended
from snowrail_notification.sealing import Sealing

_GOODBYE_SECONDS = 2.0

UNSUBSCRIBE = "unsubscribe"
"""Purpose of the tokens that switch a type off."""


@dataclass(frozen=True, slots=True)
class Server:
    """The mail server that takes our mail."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    username: str | None
    password: str | None
    ca_file: Path | None
    timeout_seconds: float


class EmailSender:
    """Sends one mail per connection; mail is rare enough, and a connection of one's own fails alone."""

    def __init__(self, server: Server, mail_from: str, origin: str, sealing: Sealing, clock: Clock) -> None:
        self._server = server
        self._from_name, self._from_address = parseaddr(mail_from)
        self._origin = origin.rstrip("/")
        self._sealing = sealing
        self._clock = clock
        self._tls = ssl.create_default_context(cafile=server.ca_file) if server.security != "none" else None

    async def send(self, outgoing: Outgoing) -> Result:
        """Hand a mail over. What is lost before its text began to flow had no effect; later it may have."""
        mail = self.compose(outgoing)
        server = self._server
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            timeout=server.timeout_seconds,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._tls,
            username=server.username,
            password=server.password,
        )
        under_way = False
        try:
            async with asyncio.timeout(server.timeout_seconds):
                await smtp.connect()
                await smtp.mail(self._from_address)
                await smtp.rcpt(outgoing.address)
                under_way = True
                await smtp.data(mail.as_bytes(policy=SMTP_POLICY))
            await _say_goodbye(smtp)
            return Result(Ended.ACCEPTED, reference=str(mail["Message-ID"]))
        except aiosmtplib.SMTPAuthenticationError as error:
            return not_now(
                error
            )  # our own credentials: for the operator to put right, nobody's address is wrong
        except aiosmtplib.SMTPServerDisconnected as error:
            return unknown(error) if under_way else not_now(error)
        except aiosmtplib.SMTPResponseException as error:
            said = f"{error.code} {error.message}"
            return Result(Ended.REFUSED, said[:500]) if error.code >= 500 else not_now(said)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return unknown(error) if under_way else not_now(error)
        finally:
            smtp.close()

    def compose(self, outgoing: Outgoing) -> EmailMessage:
        """Return the mail: text and HTML, and for what can be switched off how to do it with one click."""
        content = outgoing.content
        mail = EmailMessage()
        domain = self._from_address.rpartition("@")[2]
        mail["From"] = Address(self._from_name, addr_spec=self._from_address)
        mail["To"] = outgoing.address
        mail["Subject"] = _one_line(content["title"])
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = f"<{outgoing.message_id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        footer = "You get this because this address is connected to your Snowrail account."
        unsubscribe = self._unsubscribe_link(outgoing)
        if unsubscribe is not None:
            mail["List-Unsubscribe"] = f"<{unsubscribe}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
            footer += f"\nNo more mail of this kind: {unsubscribe}"
        link: str = content.get("link") or self._origin
        label: str = content.get("link_label") or "Open Snowrail"
        mail.set_content(f"{content['message']}\n\n{label}: {link}\n\n-- \n{footer}\n")
        mail.add_alternative(
            '<!doctype html><html lang="en"><body style="font-family:sans-serif">'
            f"<h2>{escape(content['title'])}</h2><p>{escape(content['message'])}</p>"
            f'<p><a href="{escape(link)}">{escape(label)}</a></p>'
            f'<p style="color:#777;font-size:small">{escape(footer)}</p></body></html>',
            subtype="html",
        )
        return mail

    def _unsubscribe_link(self, outgoing: Outgoing) -> str | None:
        kind = outgoing.content.get("type")
        if kind is None or outgoing.priority is Priority.CRITICAL:
            return None
        token = self._sealing.sign(UNSUBSCRIBE, outgoing.user_id.bytes + kind.encode())
        return f"{self._origin}/api/notification/unsubscribe?token={token}"


async def _say_goodbye(smtp: aiosmtplib.SMTP) -> None:
    with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):  # the server has the mail already
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await smtp.quit()


def _one_line(text: str) -> str:
    return " ".join(text.split())
