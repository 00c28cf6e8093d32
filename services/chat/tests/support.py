"""What tests of chat talk with: people, a chain monitor, and the events of the services around it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.config import ChainRegistry
from snowrail_chain.eip712 import Order, order_hash
from snowrail_events import (
    ChatMessagePostedV1,
    Event,
    FeedEventV1,
    IntentCreatedV1,
    IntentCreateV1,
    IntentRejectedV1,
    IntentUpdatedV1,
    PaymentUpdatedV1,
    UserRegisteredV1,
)
from snowrail_events.fields import OrderTerms
from snowrail_events.parts import UnsignedTransaction
from snowrail_testkit import Broker, Builder, FakeClock, RunningService, eventually

ALICE = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
BOB = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
CAROL = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
ESCROW = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
USDC = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
CHAIN_ID = 31337
NATIVE = f"{CHAIN_ID}:{NATIVE_TOKEN}"
TX = f"0x{'a1' * 32}"

CHAINS: dict[str, Any] = {
    "chains": [
        {
            "chain_id": CHAIN_ID,
            "name": "Snowrail dev chain",
            "rpc_urls": ["http://127.0.0.1:1"],
            "confirmations": 2,
            "block_time_seconds": 1,
            "explorer_url": "https://explorer.example",
            "escrow": ESCROW,
            "tokens": [
                {"symbol": "CRO", "address": NATIVE_TOKEN, "decimals": 18, "name": "Cronos"},
                {"symbol": "USDC", "address": USDC, "decimals": 6, "name": "USD Coin", "permit": True},
            ],
        }
    ]
}


def write_chains(folder: Path) -> Path:
    """Write the chains file of these tests and return where it is."""
    file = folder / "chains.json"
    file.write_bytes(orjson.dumps(CHAINS))
    ChainRegistry.load(file)
    return file


@dataclass
class Neighbours:
    """Answers as the chain monitor and the intent service do on their internal routes, over real HTTP.

    Attributes:
        balances: atoms by account and token.
        transactions: bodies of answers by purpose and amount; what is missing is refused.
        asked: what was asked about transactions, in order.
    """

    url: str = ""
    balances: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    transactions: dict[tuple[str, str | None], list[dict[str, Any]]] = field(
        default_factory=dict[tuple[str, str | None], list[dict[str, Any]]]
    )
    refusal: tuple[int, str, str] = (409, "intent_closed", "This intent takes no deposit any more.")
    asked: list[tuple[str, str, str | None]] = field(default_factory=list[tuple[str, str, str | None]])
    requests: int = 0
    delay_seconds: float = 0.0
    status: int = 200

    async def answer_balances(self, request: Request) -> Response:
        """Answer for balances."""
        self.requests += 1
        await asyncio.sleep(self.delay_seconds)
        body = orjson.loads(await request.body())
        assert len(body["queries"]) <= 500, "the chain monitor refuses more"
        found = [str(self.balances.get((query["address"], query["token"]), 0)) for query in body["queries"]]
        answer = {"balances": found, "allowances": [], "gas_price": "5", "block_number": 1}
        return Response(orjson.dumps(answer), status_code=self.status, media_type="application/json")

    async def answer_transactions(self, intent_id: str, purpose: str, amount: str | None = None) -> Response:
        """Answer for transactions of an intent."""
        self.asked.append((intent_id, purpose, amount))
        await asyncio.sleep(self.delay_seconds)
        built = self.transactions.get((purpose, amount))
        if built is None:
            status, code, detail = self.refusal
            return Response(orjson.dumps({"code": code, "detail": detail}), status_code=status)
        return Response(orjson.dumps({"intent_id": intent_id, "transactions": built}), self.status)


@asynccontextmanager
async def running_neighbours() -> AsyncGenerator[Neighbours]:
    """Run the neighbours until the block ends."""
    neighbours = Neighbours()
    app = FastAPI()
    app.add_api_route("/internal/balances", neighbours.answer_balances, methods=["POST"])
    app.add_api_route("/internal/intents/{intent_id}/transactions", neighbours.answer_transactions)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    # `serve` would take over the signals of the process
    serving = asyncio.create_task(server._serve())  # pyright: ignore[reportPrivateUsage]

    async def started() -> bool:
        return server.started

    await eventually(started)
    neighbours.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield neighbours
    finally:
        server.should_exit = True
        await serving


@dataclass(frozen=True)
class Person:
    """Somebody who chats."""

    handle: str
    address: str
    user_id: UUID = field(default_factory=uuid4)
    roles: tuple[str, ...] = ("user",)


@dataclass
class Conversation:
    """Says lines as the gateway passes them on, and sees what comes into the feeds."""

    broker: Broker
    build: Builder
    clock: FakeClock
    chat: RunningService

    async def register(self, *people: Person) -> None:
        """Have accounts announce people, and wait until chat knows them."""
        for person in people:
            await self.broker.probe.publish(
                self.build(
                    UserRegisteredV1,
                    user_id=person.user_id,
                    handle=person.handle,
                    address=person.address,
                    roles=person.roles,
                    changed_at=self.clock.now(),
                )
            )

        async def known() -> bool:
            rows = await self.fetch("SELECT user_id FROM user_account")
            return {person.user_id for person in people} <= {row["user_id"] for row in rows}

        await eventually(known)

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        """Return rows of chat's database."""
        return await self.chat.runtime.database.fetch(query, *arguments)

    async def say(
        self, person: Person, text: str, message_id: UUID | None = None, origin: str = "feed"
    ) -> UUID:
        """Have a person send a line, and return the id of the message."""
        event = ChatMessagePostedV1(
            message_id=message_id or uuid4(),
            user_id=person.user_id,
            handle=person.handle,
            address=person.address,
            roles=person.roles,
            text=text,
            posted_at=self.clock.now(),
            origin=origin,
        )
        await self.broker.probe.publish(event)
        return event.message_id

    async def feed(self, in_reply_to: UUID | None = None) -> list[FeedEventV1]:
        """Return what is in the feeds now: everything, or what answers one message."""
        count = await self.broker.probe.count(FeedEventV1)
        events = await self.broker.probe.collect(FeedEventV1, count) if count else []
        return [
            event for event in events if in_reply_to is None or event.data["in_reply_to"] == str(in_reply_to)
        ]

    async def answer(self, message_id: UUID, number: int = 1) -> dict[str, Any]:
        """Return the data of the n-th feed event about a message."""

        async def arrived() -> Any:
            events = await self.feed(message_id)
            return events[number - 1] if len(events) >= number else None

        event: FeedEventV1 = await eventually(arrived)
        assert event.name == "chat:message"
        return event.data

    async def ask(self, person: Person, text: str) -> dict[str, Any]:
        """Have a person send a line, and return the card that answers it."""
        return (await self.answer(await self.say(person, text)))["card"]

    async def published(self, kind: type[Event], number: int = 1) -> Any:
        """Return the n-th event of a type that was published."""
        return (await self.broker.probe.collect(kind, number))[number - 1]

    async def settled(self, message_id: UUID) -> None:
        """Wait until a line is in the database."""

        async def stored() -> bool:
            return bool(await self.fetch("SELECT 1 FROM message WHERE message_id = $1", message_id))

        await eventually(stored)

    async def create(self, command: IntentCreateV1, **changes: Any) -> IntentCreatedV1:
        """Have the intent service accept a request."""
        event = created(self.build, command, **changes)
        await self.broker.probe.publish(event)
        return event

    async def update(self, intent: IntentCreatedV1, version: int, status: str, **changes: Any) -> None:
        """Have the intent service tell a new state."""
        known = {
            name: getattr(intent, name)
            for name in ("intent_id", "user_id", "payer", "recipient", "recipient_label", "token", "amount")
        }
        terms = {"order_hash": intent.order_hash, "expires_at": intent.expires_at}
        values = {**known, **terms, "version": version, "status": status, **changes}
        await self.broker.probe.publish(self.build(IntentUpdatedV1, **values))

    async def pay(
        self, intent: IntentCreatedV1, event: type[Event] = PaymentUpdatedV1, **values: Any
    ) -> None:
        """Have the orchestrator tell a state of the intent's payment."""
        known = {
            name: getattr(intent, name)
            for name in ("intent_id", "user_id", "payer", "recipient", "token", "amount")
        }
        event_values = {**known, "payment_id": intent.intent_id, "occurrence": 0, **values}
        if "chain_id" in event.model_fields:
            event_values["chain_id"] = CHAIN_ID
        await self.broker.probe.publish(self.build(event, **event_values))

    async def reject(self, command: IntentCreateV1, code: str, detail: str) -> None:
        """Have the intent service refuse a request for a payment."""
        await self.broker.probe.publish(
            self.build(
                IntentRejectedV1,
                intent_id=command.intent_id,
                user_id=command.user_id,
                request_id=command.intent_id,
                command="create",
                code=code,
                detail=detail,
            )
        )


def created(build: Builder, command: IntentCreateV1, **changes: Any) -> IntentCreatedV1:
    """Return how the intent service answers a request: native coin is funded, tokens are signed for."""
    native = command.token == NATIVE
    order = Order(
        payer=command.payer,
        recipient=command.recipient,
        token=command.token.partition(":")[2],
        amount=command.amount,
        valid_after=0,
        valid_until=2_000_000_000,
        max_gas_price=10**12,
        safety_buffer=0,
        min_interval=0,
        max_executions=1,
        max_fee=0,
        salt=command.intent_id.bytes * 2,
    )
    terms = OrderTerms(
        **{name: getattr(order, name) for name in OrderTerms.model_fields if name != "salt"},
        salt=f"0x{order.salt.hex()}",
    )
    fund = UnsignedTransaction(
        chain_id=CHAIN_ID, to=ESCROW, data="0x01", value=command.amount, purpose="fund"
    )
    values: dict[str, Any] = {
        "intent_id": command.intent_id,
        "user_id": command.user_id,
        "version": 1,
        "status": "awaiting_authorisation",
        "payer": command.payer,
        "recipient": command.recipient,
        "recipient_label": command.recipient_label,
        "token": command.token,
        "amount": command.amount,
        "order_hash": f"0x{order_hash(order).hex()}",
        "order": terms,
        "escrow": ESCROW,
        "chain_id": CHAIN_ID,
        "authorisation": "fund_transaction" if native else "typed_data",
        "transaction": fund if native else None,
        "estimated_gas": 130_000,
        "estimated_gas_price": 10**10,
        "fee_payer": "platform",
    }
    return build(IntentCreatedV1, **{**values, **changes})


def rows_of(card: dict[str, Any]) -> dict[str, str]:
    """Return the rows of a card by label."""
    return {row["label"]: row["value"] for row in card["rows"]}


def actions_of(card: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the actions of a card by label."""
    return {action["label"]: action for action in card["actions"]}
