"""A sign-in from a new device: its user is warned, and a denial ends its sessions at once, everywhere."""

import asyncio
from datetime import UTC, datetime

import aiohttp
import pytest

from snowrail_client import ApiError, SnowrailClient, Wallet
from snowrail_client.errors import ConnectionEnded
from snowrail_local.stack import Stack

from .people import Chain

AT_ONCE_SECONDS = 15.0


async def test_a_denied_device_loses_its_sessions_at_once(stack: Stack, chain: Chain) -> None:
    wallet = Wallet.create()
    async with (
        SnowrailClient(stack.origin, device_label="Own laptop") as own,
        SnowrailClient(stack.origin, device_label="Strange phone") as strange,
    ):
        await own.sign_in(wallet, chain.chain_id)
        await own.connect()
        await strange.sign_in(wallet, chain.chain_id)
        await strange.connect()
        alert = await own.connection.wait_for(
            "notification", lambda item: "Strange phone" in item.data["message"], 60
        )
        assert (alert.data["type"], alert.data["priority"]) == ("security_alert", "critical")
        device = alert.data["data"]["device_id"]
        commands = [action["command"] for action in alert.data["actions"]]
        assert commands == [f"/device approve {device}", f"/device deny {device}"]
        stolen = await strange.access_token()

        with pytest.raises(ApiError) as refused:
            await strange.request("POST", f"/api/accounts/user/devices/{device}/approve")
        assert refused.value.code == "device_own"

        denied_at = datetime.now(UTC)
        await own.request("DELETE", f"/api/accounts/user/devices/{device}")
        with pytest.raises(ConnectionEnded):
            await strange.connection.wait_for("never", lambda _: True, 30)
        assert (datetime.now(UTC) - denied_at).total_seconds() < AT_ONCE_SECONDS
        await _until_refused(stack.origin, stolen)
        told = await own.connection.wait_for(
            "notification", lambda item: item.data["title"] == "Device denied", 60
        )
        assert told.data["data"]["sessions_ended"] == 1
        assert (await own.request("GET", "/api/user/profile"))["address"] == wallet.address
        assert [item["label"] for item in await own.request("GET", "/api/accounts/user/devices")] == [
            "Own laptop"
        ]


async def _until_refused(origin: str, token: str) -> None:
    """Wait until the edge refuses a token for the end of its session."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, asyncio.timeout(AT_ONCE_SECONDS):
        while True:
            async with http.get(f"{origin}/api/user/profile", headers=headers) as answer:
                if answer.status == 401:
                    assert (await answer.json())["code"] == "session_ended"
                    return
            await asyncio.sleep(0.05)
