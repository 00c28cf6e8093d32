"""Settings of notification."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from snowrail_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beyond the common ones. Nothing is attempted on a channel whose settings are absent."""

    database_pool_size: int = Field(default=10, ge=2, le=100)
    chains_file: Path
    """Chains and tokens, for amounts and symbols."""
    retention_days: int = Field(default=180, ge=1, le=3_650)
    prune_rows: int = Field(default=5_000, ge=1, le=100_000)

    channel_secret: SecretStr | None = None
    """Seals contact addresses and signs links: at least 32 unpredictable characters. Channels need it."""
    deliver_every_seconds: float = Field(default=0.5, gt=0, le=60)
    delivery_batch_rows: int = Field(default=50, ge=1, le=1_000)
    attempt_timeout_seconds: float = Field(default=20, gt=0, le=120)
    """How long a provider may take with one message."""
    claim_lease_seconds: float = Field(default=90, gt=0, le=3_600)
    """After so long an attempt without an end is taken to have died with its process."""

    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_ca_file: Path | None = None
    """Certificates that the mail server's is checked against, instead of the system's."""
    email_from: str | None = None
    """Address, or `Name <address>`, that mail comes from."""
    email_per_second: float = Field(default=10, gt=0, le=1_000)
    confirmation_hours: int = Field(default=24, ge=1, le=168)

    telegram_bot_token: SecretStr | None = None
    telegram_bot_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_]{5,32}$")
    telegram_api_url: str | None = None
    """A Bot API server of one's own, instead of Telegram's."""
    telegram_mode: Literal["webhook", "poll"] = "webhook"
    telegram_per_second: float = Field(default=25, gt=0, le=1_000)
    """Messages to all chats; the Bot API allows about 30."""
    telegram_chat_pause_seconds: float = Field(default=1.1, gt=0, le=60)
    """Between messages to one chat; the Bot API allows about one a second."""
    telegram_poll_seconds: int = Field(default=25, ge=0, le=50)
    link_minutes: int = Field(default=15, ge=1, le=1_440)

    vapid_private_key: SecretStr | None = None
    """P-256 private key, PEM."""
    vapid_subject: str | None = Field(default=None, pattern=r"^(mailto:|https://).+")
    """How a push service reaches us, `mailto:` or `https:`."""
    web_push_hosts: tuple[str, ...] = (
        "fcm.googleapis.com",
        "push.services.mozilla.com",
        "push.apple.com",
        "notify.windows.com",
    )
    """Push services that are believed to be such, with their subdomains: browsers name the address."""
    web_push_over_http: bool = False
    """Also without TLS; for tests on this machine."""
    web_push_per_second: float = Field(default=200, gt=0, le=10_000)
    web_push_contacts: int = Field(default=10, ge=1, le=100)
    """Browsers of one user."""

    price_fresh_seconds: float = Field(default=300, ge=10, le=3_600)
    """Older prices fire no alerts."""
    alerts_per_user: int = Field(default=50, ge=1, le=1_000)

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse channels that are configured by half."""
        secret = self.channel_secret.get_secret_value() if self.channel_secret else ""
        channels = {
            "SMTP_HOST": (self.smtp_host, self.email_from),
            "TELEGRAM_BOT_TOKEN": (self.telegram_bot_token, self.telegram_bot_name),
            "VAPID_PRIVATE_KEY": (self.vapid_private_key, self.vapid_subject),
        }
        for name, values in channels.items():
            if any(values) and not all(values):
                raise ValueError(f"SNOWRAIL_{name} and what belongs to it are set together or not at all")
            if any(values) and len(secret) < 32:
                raise ValueError("a channel needs SNOWRAIL_CHANNEL_SECRET of at least 32 characters")
        if self.claim_lease_seconds <= 2 * self.attempt_timeout_seconds:
            raise ValueError("a claim has to outlast two attempts: claim_lease_seconds")
        return self
