"""A platform whose services die where a test wants them to, and somebody who pays on it."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats

from snowrail_client import Event, SnowrailClient, Wallet
from snowrail_local.dev_accounts import people
from snowrail_local.service_table import LocalService
from snowrail_local.setup_steps import service_environment
from snowrail_local.stack import Stack
from snowrail_local.stack_settings import StackSettings
from snowrail_testkit.call_board import FOLDER_VARIABLE, CallBoard
from snowrail_topology import CONSUMES, EVENTS_STREAM, TOPOLOGY_IDENTITY

CHECKER = Path(__file__).parents[1] / "checker" / "checker.py"
LIMITS = {
    "SNOWRAIL_ADDRESS_REQUESTS_PER_MINUTE": "1000000",
    "SNOWRAIL_USER_REQUESTS_PER_HOUR": "1000000",
    "SNOWRAIL_MAX_UNAUTHENTICATED_PER_ADDRESS": "1000",
    "SNOWRAIL_RATE_LIMIT_MULTIPLIER": "1000",
    "SNOWRAIL_FRAUD_HOUR_PAYMENTS": "100000",
    "SNOWRAIL_FRAUD_DAY_PAYMENTS": "100000",
    "SNOWRAIL_FRAUD_REVIEW_SCORE": "1000",
    "SNOWRAIL_FRAUD_BLOCK_SCORE": "1000",
}
"""Limits that ten people would reach by paying without end."""
FAST_POSTGRES = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
REDELIVERY_SECONDS = 1.0
BLOCK_SECONDS = 0.25
APPROVE = "0x095ea7b3"
PAYMENT_TIMEOUT_SECONDS = 60.0
REST_TIMEOUT_SECONDS = 60.0
REST_POLL_SECONDS = 1.0


class MortalStack(Stack):
    """A stack whose services run under the call board's orders."""

    def _run_service(self, service: LocalService, environment: Mapping[str, str]) -> None:
        self._forks.run(
            service.name,
            "snowrail_testkit.call_points:serve_service",
            [service.package],
            {
                **service_environment(self.settings, service),
                FOLDER_VARIABLE: str(self.board_folder),
                **environment,
            },
            keep_running=True,
        )

    @property
    def board_folder(self) -> Path:
        """Folder of the call board."""
        folder = self.settings.state_folder / "call-board"
        folder.mkdir(exist_ok=True)
        return folder


TOLD_ONCE = ("intent:created", "tx:pending", "tx:confirmed", "intent:executed", "payment_processed")
"""Events of which a payment has at most one for each of its people."""


@dataclass
class Payer:
    """Somebody who has given the escrow an allowance and is connected, and what they were told."""

    client: SnowrailClient
    wallet: Wallet
    events: list[Event] = field(default_factory=list[Event])

    async def listen(self) -> None:
        """Keep every event, until cancelled."""
        async for event in self.client.connection.events():
            self.events.append(event)

    def repetitions(self) -> list[str]:
        """Return what was told of a payment more than once, or could have been missed."""
        told = Counter(
            (event.name, str(event.data["intent_id"])) for event in self.events if event.name in TOLD_ONCE
        )
        wrong = [
            f"{name} came {count} times for {intent}" for (name, intent), count in told.items() if count > 1
        ]
        if self.client.connection.resyncs:
            wrong.append("events were missed")
        return wrong

    async def pay(self, recipient: "Payer", amount: str) -> str:
        """Pay by chat and return the intent's id as soon as the payment is final and everybody knows.

        Raises:
            TimeoutError: it is not final in time.
        """
        feed = self.client.connection
        line = f"/pay {recipient.wallet.address} {amount} USDC"
        message_id = await feed.post(line, timeout_seconds=PAYMENT_TIMEOUT_SECONDS)
        shown = await feed.wait_for(
            "chat:message", lambda event: _sign_action(event, message_id) is not None, PAYMENT_TIMEOUT_SECONDS
        )
        action = _sign_action(shown, message_id)
        assert action is not None, "the card was chosen for it"
        signature = self.wallet.sign_typed_data(action["sign"]["typed_data"])
        intent_id = str(action["command"]).split()[1]
        await feed.post(f"{action['command']} {signature}", timeout_seconds=PAYMENT_TIMEOUT_SECONDS)
        for connection, name, status in (
            (feed, "intent:executed", None),
            (feed, "intent:updated", "completed"),
            (recipient.client.connection, "payment_processed", None),
        ):
            await connection.wait_for(name, _about(intent_id, status), PAYMENT_TIMEOUT_SECONDS)
        return intent_id


def _sign_action(event: Event, message_id: str) -> dict[str, Any] | None:
    """Return the button of the answer to a line that asks for a signature."""
    if event.data.get("in_reply_to") != message_id:
        return None
    actions: Sequence[dict[str, Any]] = event.data["card"]["actions"]
    return next((item for item in actions if (item.get("sign") or {}).get("kind") == "typed_data"), None)


def _about(intent_id: str, status: str | None) -> Any:
    def accepts(event: Event) -> bool:
        return str(event.data["intent_id"]).startswith(intent_id) and status in (
            None,
            event.data.get("status"),
        )

    return accepts


class Platform:
    """A running mortal stack with its chain, its people and its board."""

    def __init__(self, stack: MortalStack) -> None:
        self.stack = stack
        self.board = CallBoard(stack.board_folder)
        self.payers: list[Payer] = []
        self._chain: dict[str, Any] = json.loads(stack.settings.chains_file.read_text())["chains"][0]
        self._checker_file = stack.settings.state_folder / "checker.json"
        self._working: list[asyncio.Future[None]] = []

    @property
    def services(self) -> list[str]:
        """Names of the services."""
        return [service.name for service in self.stack.settings.services]

    async def prepare(self) -> None:
        """Hurry broker and chain, sign people in, and have them give the escrow an allowance."""
        await self._redeliver_quickly()
        self._working.append(asyncio.ensure_future(self._mine()))
        token = next(item["address"] for item in self._chain["tokens"] if item["symbol"] == "USDC")
        data = APPROVE + self._chain["escrow"][2:].lower().rjust(64, "0") + "f" * 64
        for account in people():
            client = SnowrailClient(self.stack.origin)
            wallet = Wallet.from_key(account.private_key)
            rpc = client.rpc(self._chain["rpc_urls"][0])
            approval = {"to": token, "value": "0", "data": data, "chain_id": self._chain["chain_id"]}
            await rpc.wait_for_receipt(await wallet.send_transaction(rpc, approval))
            await client.sign_in(wallet, self._chain["chain_id"])
            await client.connect()
            self.payers.append(Payer(client, wallet))
        self._working += [asyncio.ensure_future(payer.listen()) for payer in self.payers]

    async def close(self) -> None:
        """Disconnect everybody."""
        for task in self._working:
            task.cancel()
        for payer in self.payers:
            await payer.client.close()

    async def _mine(self) -> None:
        """Mine several blocks a second: what dies here has nothing to do with waiting for them."""
        while True:
            await asyncio.to_thread(self.stack.anvil.call, "evm_mine")
            await asyncio.sleep(BLOCK_SECONDS)

    async def _redeliver_quickly(self) -> None:
        """Have the broker give a dead process's messages to the next one after a moment."""
        seed = (self.stack.settings.secrets_folder / "topology" / "snowrail_nats_seed").read_text().strip()
        client = await nats.connect(
            self.stack.nats.url, nkeys_seed_str=seed, inbox_prefix=f"_INBOX_{TOPOLOGY_IDENTITY}".encode()
        )
        jetstream = client.jetstream()
        for service in (name for name, subjects in CONSUMES.items() if subjects):
            config = (await jetstream.consumer_info(EVENTS_STREAM, service)).config
            config.ack_wait = REDELIVERY_SECONDS
            await jetstream.add_consumer(EVENTS_STREAM, config)
        await client.close()

    async def violations(self) -> str:
        """Return what the independent checker finds wrong, once the platform had time to come to rest.

        What people were told twice counts, too.
        """
        databases = {
            service.database: self.stack.database_url(service.name)
            for service in self.stack.settings.services
            if service.has_database
        }
        where = {"rpc": self._chain["rpc_urls"][0], "escrow": self._chain["escrow"], "databases": databases}
        self._checker_file.write_text(json.dumps(where))
        said = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_TIMEOUT_SECONDS):
                while True:
                    checked = await asyncio.to_thread(self._check)
                    said = checked.stdout + checked.stderr
                    if checked.returncode == 0:
                        return "\n".join(line for payer in self.payers for line in payer.repetitions())
                    await asyncio.sleep(REST_POLL_SECONDS)
        return said

    def _check(self) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(CHECKER), str(self._checker_file)],
            capture_output=True,
            text=True,
            timeout=REST_TIMEOUT_SECONDS,
            check=False,
        )


def settings_on_free_ports(folder: Path) -> StackSettings:
    """Return the settings of a mortal stack."""
    free = StackSettings.on_free_ports(folder)
    return StackSettings(
        folder,
        services=free.services,
        ports=free.ports,
        environment=LIMITS,
        postgres_settings=FAST_POSTGRES,
        keep_chain=False,
    )
