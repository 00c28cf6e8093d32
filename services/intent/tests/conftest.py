"""The intent service over a real broker and database, beside an emulated chain-monitor."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from snowrail_chain.config import ChainConfig
from snowrail_chain.deploy import write_chains_file
from snowrail_chain.eip712 import Order, signing_digest
from snowrail_events import (
    Event,
    IntentAuthoriseV1,
    IntentCancelV1,
    IntentCreatedV1,
    IntentCreateV1,
    TransactionFinalV1,
    TransactionIncludedV1,
    TransactionOrphanedV1,
    UserRegisteredV1,
)
from snowrail_events.fields import OrderTerms
from snowrail_events.parts import EscrowLog
from snowrail_intent.app import service
from snowrail_intent.settings import Settings
from snowrail_testkit import (
    Broker,
    CreateDatabase,
    FakeClock,
    RunningService,
    TestDatabase,
    eventually,
    running_service,
)
from snowrail_testkit.escrow import Payer
from snowrail_testkit.tokens import TokenIssuer

from .chain_monitor import ChainMonitorEmulator
from .samples import CRO, PAYER, RECIPIENT, USDC, a_chain

TransactionFact = TransactionIncludedV1 | TransactionFinalV1 | TransactionOrphanedV1


@dataclass
class World:
    """Everything around one running intent service, and what a test does to it."""

    running: RunningService
    broker: Broker
    clock: FakeClock
    monitor: ChainMonitorEmulator
    database: TestDatabase
    tokens: TokenIssuer
    chain: ChainConfig
    user_id: UUID = field(default_factory=uuid4)
    blocks: int = 0

    async def register(self, user_id: UUID | None = None, payer: Payer = PAYER, level: int = 0) -> None:
        """Let the service know a user, and wait until it does."""
        known_as = user_id or self.user_id
        await self.publish(
            UserRegisteredV1(
                user_id=known_as,
                handle="alice",
                address=payer.address,
                roles=("user",),
                kyc_level=level,
                changed_at=self.clock.now(),
            )
        )

        async def is_known() -> bool:
            return bool(await self.rows("SELECT 1 AS one FROM user_account WHERE user_id = $1", known_as))

        await eventually(is_known)

    async def publish(self, *events: Event) -> None:
        """Publish events of other services."""
        for event in events:
            await self.broker.probe.publish(event)

    async def heard(self, *kinds: type[Event]) -> None:
        """Wait until the service knows all that was published of some types."""
        query = "SELECT 1 FROM inbox WHERE producer = $1 AND sequence_key = $2 HAVING count(*) = $3"
        for kind in kinds:
            name = (kind.producers[0], kind.subject)
            number = self.broker.probe.sequences[name]
            await eventually(lambda name=name, number=number: self.rows(query, *name, number))

    async def parked(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many messages wait for something, and return them."""

        async def are_there() -> list[dict[str, Any]] | None:
            found = await self.rows("SELECT * FROM parked_message")
            return found if len(found) == count else None

        return await eventually(are_there)

    async def collect(self, event: type[Any], count: int = 1) -> list[Any]:
        """Return the first events of a type that the service published."""
        return await self.broker.probe.collect(event, count)

    def create(self, symbol: str = "USDC", **changes: Any) -> IntentCreateV1:
        """Return a command for a payment of 1,000 atoms."""
        values: dict[str, Any] = {
            "intent_id": uuid4(),
            "user_id": self.user_id,
            "payer": PAYER.address,
            "recipient": RECIPIENT,
            "recipient_label": "alice",
            "token": self.chain.token_id(symbol),
            "amount": 1_000,
            "requested_at": self.clock.now(),
        }
        return IntentCreateV1(**{**values, **changes})

    async def created(self, symbol: str = "USDC", **changes: Any) -> IntentCreatedV1:
        """Have an intent created, and return what the service said of it."""
        command = self.create(symbol, **changes)
        before = await self.broker.probe.count(IntentCreatedV1)
        await self.publish(command)
        return (await self.collect(IntentCreatedV1, before + 1))[-1]

    def authorise(self, intent: IntentCreatedV1, payer: Payer = PAYER, **changes: Any) -> IntentAuthoriseV1:
        """Return the command with a payer's signature of an intent's order."""
        digest = signing_digest(order_of(intent.order), intent.chain_id, intent.escrow)
        values: dict[str, Any] = {
            "intent_id": intent.intent_id,
            "user_id": self.user_id,
            "request_id": uuid4(),
            "signature": f"0x{payer.sign(digest).hex()}",
        }
        return IntentAuthoriseV1(**{**values, **changes})

    def cancel(self, intent_id: UUID, user_id: UUID | None = None) -> IntentCancelV1:
        """Return the command to stop an intent."""
        return IntentCancelV1(intent_id=intent_id, user_id=user_id or self.user_id, request_id=uuid4())

    def approve(self, symbol: str = "USDC", amount: int = 10**30) -> None:
        """Let the escrow move the payer's tokens."""
        self.monitor.allowances[PAYER.address, self.chain.token(symbol).address] = amount

    def log(self, name: str, order_hash: str, **changes: Any) -> EscrowLog:
        """Return an event of the escrow about an order."""
        values: dict[str, Any] = {"log_index": 0, "name": name, "order_hash": order_hash, "amount": 1_000}
        return EscrowLog(**{**values, **changes})

    def fact(
        self, kind: type[TransactionFact], *logs: EscrowLog, block: int | None = None, **changes: Any
    ) -> TransactionFact:
        """Return a fact about a transaction of the payer, in a block of its own unless one is given."""
        self.blocks += block is None
        number = self.blocks if block is None else block
        values: dict[str, Any] = {
            "chain_id": self.chain.chain_id,
            "tx_hash": f"0x{number:064x}",
            "sender": PAYER.address,
            "nonce": number,
            "succeeded": True,
            "block_number": number,
            "block_hash": f"0x{number:063x}b",
            "block_time": self.clock.now(),
            "logs": logs,
        }
        return kind(**{**values, **changes})

    async def row(self, intent_id: UUID) -> dict[str, Any]:
        """Return the row of an intent."""
        rows = await self.rows("SELECT * FROM intent WHERE intent_id = $1", intent_id)
        return rows[0]

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Read the service's database with a connection of our own."""
        connection = await asyncpg.connect(self.database.superuser_url, ssl=False)
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def status(self, intent_id: UUID, expected: str, reason: str | None = None) -> dict[str, Any]:
        """Wait until an intent is in a state for a reason, and return its row."""

        async def is_there() -> dict[str, Any] | None:
            row = await self.row(intent_id)
            return row if (row["status"], row["reason"]) == (expected, reason) else None

        try:
            return await eventually(is_there)
        except TimeoutError:
            row = await self.row(intent_id)
            raise AssertionError(f"it is {row['status']} ({row['reason']}), not {expected}") from None

    async def pass_time(self, seconds: float) -> datetime:
        """Move the clock and have the engine look."""
        now = self.clock.advance(seconds)
        self.running.parts.wake_engine()
        return now

    def headers(self, user_id: UUID | None = None, payer: Payer = PAYER, **options: Any) -> dict[str, str]:
        """Return the headers of a request by a user."""
        return self.tokens.headers(
            self.clock.now(), user_id or self.user_id, address=payer.address, **options
        )

    async def settle(self) -> None:
        """Give the service time to say what it should not say."""
        await asyncio.sleep(0.4)


def order_of(terms: OrderTerms) -> Order:
    """Return the order that an event carries."""
    values: dict[str, Any] = {**terms.model_dump(), "salt": bytes.fromhex(terms.salt[2:])}
    return Order(**values)


class RunIntent(Protocol):
    """Runs the intent service until the block ends; settings may be replaced by name."""

    def __call__(self, **options: Any) -> AbstractAsyncContextManager[World]:
        """Return the service with its surroundings."""
        ...


@pytest_asyncio.fixture(loop_scope="session")
async def monitor() -> AsyncGenerator[ChainMonitorEmulator]:
    """An emulated chain-monitor that knows plenty of balance and no allowance."""
    emulator = ChainMonitorEmulator()
    await emulator.start()
    yield emulator
    await emulator.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def database(create_database: CreateDatabase) -> TestDatabase:
    """An empty database of the service."""
    return await create_database("snowrail_intent")


@pytest.fixture
def run_intent(
    broker: Broker, database: TestDatabase, monitor: ChainMonitorEmulator, clock: FakeClock, tmp_path: Path
) -> RunIntent:
    """Run the service; running it twice in one test continues with the same database and broker."""
    tokens = TokenIssuer.create(tmp_path)

    @asynccontextmanager
    async def run(chain: ChainConfig | None = None, **options: Any) -> AsyncGenerator[World]:
        chosen = chain or a_chain()
        write_chains_file(tmp_path / "chains.json", [chosen, a_chain(338)])
        values: dict[str, Any] = {
            "chains_file": tmp_path / "chains.json",
            "chain_monitor_url": monitor.url,
            "jwt_public_keys_file": tokens.jwks_file,
            "gas_ceiling_least_wei": 1,
            **options,
        }
        settings = broker.settings(Settings, "intent", database, **values)
        async with running_service(service, settings, clock=clock) as running:
            yield World(running, broker, clock, monitor, database, tokens, chosen)

    return run


@pytest_asyncio.fixture(loop_scope="session")
async def world(run_intent: RunIntent) -> AsyncGenerator[World]:
    """The running service with one registered user."""
    async with run_intent() as running:
        await running.register()
        yield running


__all__ = ["CRO", "PAYER", "RECIPIENT", "USDC", "RunIntent", "World", "order_of"]
