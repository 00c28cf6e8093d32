"""The channels that the settings configure."""

from datetime import timedelta

import aiohttp

from snowrail_kit.clock import Clock
from snowrail_notification.channels.email import EmailSender, Server
from snowrail_notification.channels.telegram import BOT_API_URL, BotApi, TelegramSender
from snowrail_notification.channels.web_push import VapidKey, WebPushSender
from snowrail_notification.domain.catalogue import Channel
from snowrail_notification.parts import OutsideChannel
from snowrail_notification.sealing import Sealing
from snowrail_notification.settings import Settings


def sealing_of(settings: Settings) -> Sealing | None:
    """Return what seals addresses, where channels have a secret."""
    return Sealing(settings.channel_secret.get_secret_value()) if settings.channel_secret else None


def bot_api_of(settings: Settings, http: aiohttp.ClientSession) -> BotApi | None:
    """Return the Bot API, where a bot is configured."""
    if settings.telegram_bot_token is None:
        return None
    token = settings.telegram_bot_token.get_secret_value()
    return BotApi(http, settings.telegram_api_url or BOT_API_URL, token, settings.attempt_timeout_seconds)


def vapid_key_of(settings: Settings) -> VapidKey | None:
    """Return the key for push services, where there is one. Raises ValueError when it cannot be read."""
    if settings.vapid_private_key is None or settings.vapid_subject is None:
        return None
    return VapidKey(settings.vapid_private_key.get_secret_value(), settings.vapid_subject)


def channels_of(
    settings: Settings,
    sealing: Sealing | None,
    bot_api: BotApi | None,
    vapid_key: VapidKey | None,
    http: aiohttp.ClientSession,
    clock: Clock,
) -> dict[Channel, OutsideChannel]:
    """Return the channels that are configured."""
    channels: dict[Channel, OutsideChannel] = {}
    if sealing is not None and settings.smtp_host is not None and settings.email_from is not None:
        password = settings.smtp_password
        server = Server(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_username,
            password.get_secret_value() if password else None,
            settings.smtp_ca_file,
            settings.attempt_timeout_seconds,
        )
        sender = EmailSender(server, settings.email_from, settings.public_origin, sealing, clock)
        channels[Channel.EMAIL] = OutsideChannel(sender, settings.email_per_second)
    if bot_api is not None:
        channels[Channel.TELEGRAM] = OutsideChannel(
            TelegramSender(bot_api, settings.public_origin),
            settings.telegram_per_second,
            timedelta(seconds=settings.telegram_chat_pause_seconds),
        )
    if vapid_key is not None:
        channels[Channel.WEB_PUSH] = OutsideChannel(
            WebPushSender(http, vapid_key, clock, settings.attempt_timeout_seconds),
            settings.web_push_per_second,
        )
    return channels
