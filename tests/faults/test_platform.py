"""200 payments in flight while a part of the platform is killed with SIGKILL and comes back.

Everything must end as if nothing had happened: each payment final and paid exactly once on chain, postings
that sum to zero, sequences without a hole, every event of every feed seen once. The judge is the independent
checker.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from snowrail_client import ApiError, Reply, SnowrailClient, Wallet
from snowrail_local.dev_accounts import dev_account
from snowrail_local.stack import Stack
from snowrail_local.stack_settings import StackSettings

pytestmark = pytest.mark.faults

CHECKOUT = Path(__file__).parents[2]
PEOPLE = 20
PAYMENTS_PER_PERSON = 10
LEAST_IN_STATE = 20
FUNDER_INDEX = 11
USDC = 10**6
SIGN_IN_ATTEMPTS = 10
FINAL_TIMEOUT_SECONDS = 150.0
APPROVE = "0x095ea7b3"
TRANSFER = "0xa9059cbb"

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
"""Limits that 20 people would reach by making 200 payments in a minute; nothing else is changed."""


@dataclass
class Payer:
    """Somebody with ten prepared and signed payments, and every frame their bare WebSocket received."""

    client: SnowrailClient
    wallet: Wallet
    lines: list[str] = field(default_factory=list[str])
    intents: set[str] = field(default_factory=set[str])
    frames: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    position: str | None = None

    async def listen(self, origin: str) -> None:
        """Receive the feed over a bare WebSocket, coming back with the last position after each loss."""
        while True:
            try:
                async with connect("ws" + origin.removeprefix("http") + "/ws", open_timeout=5) as socket:
                    token = await self.client.access_token()
                    frame = {"type": "auth", "token": token, "position": self.position}
                    await socket.send(json.dumps(frame))
                    async for text in socket:
                        self._take(json.loads(text))
            except (OSError, WebSocketException, TimeoutError):
                await asyncio.sleep(0.2)

    def _take(self, frame: dict[str, Any]) -> None:
        assert frame["type"] != "resync", "the feed was cut although it is short"
        if "position" in frame:
            self.position = frame["position"]
        if "id" in frame and "position" in frame:
            self.frames.append(frame)

    def executed(self) -> set[str]:
        """Return the intents whose final event has arrived."""
        return {item["data"]["intent_id"] for item in self.frames if item["type"] == "intent:executed"}


@dataclass
class World:
    """A running platform and what a wallet has to know of its chain."""

    stack: Stack
    chain: dict[str, Any]

    @property
    def usdc(self) -> str:
        """Address of the USDC of the development chain."""
        return next(item["address"] for item in self.chain["tokens"] if item["symbol"] == "USDC")

    async def value(self, service: str, query: str, *arguments: Any) -> Any:
        """Return one value from a service's database."""
        connection = await asyncpg.connect(self.stack.database_url(service), ssl=False)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform that syncs to disk, as in production."""
    free = StackSettings.on_free_ports(tmp_path_factory.mktemp("stack"))
    settings = StackSettings(
        state_folder=free.state_folder,
        services=free.services,
        ports=free.ports,
        environment=LIMITS,
        confirmations=2,
    )
    with Stack(settings) as stack:
        chain = json.loads(stack.settings.chains_file.read_text())["chains"][0]
        yield World(stack, chain)


def word(value: int | str) -> str:
    """Return an integer or address as 32 bytes of call data."""
    return f"{value:064x}" if isinstance(value, int) else value[2:].lower().rjust(64, "0")


async def prepare_payer(world: World, funder: Wallet, recipient: str, lock: asyncio.Lock) -> Payer:
    """Sign somebody in, give them USDC and an allowance, and prepare and sign their payments."""
    client = SnowrailClient(world.stack.origin)
    wallet = Wallet.create()
    rpc = client.rpc(world.chain["rpc_urls"][0])
    chain_id = world.chain["chain_id"]
    async with lock:
        await funder.send_transaction(
            rpc, {"to": wallet.address, "value": str(10**18), "data": "0x", "chain_id": chain_id}
        )
        data = TRANSFER + word(wallet.address) + word(60 * USDC)
        await rpc.wait_for_receipt(
            await funder.send_transaction(
                rpc, {"to": world.usdc, "value": "0", "data": data, "chain_id": chain_id}
            )
        )
    data = APPROVE + word(world.chain["escrow"]) + word(1_000 * USDC)
    await rpc.wait_for_receipt(
        await wallet.send_transaction(
            rpc, {"to": world.usdc, "value": "0", "data": data, "chain_id": chain_id}
        )
    )
    await sign_in(client, wallet, chain_id)
    await client.connect()
    payer = Payer(client, wallet)
    for number in range(1, PAYMENTS_PER_PERSON + 1):
        reply = await client.say(f"/pay {recipient} {number}.25 USDC", 30)
        payer.lines.append(signed(reply, wallet))
    payer.intents = {line.split()[1] for line in payer.lines}
    return payer


async def sign_in(client: SnowrailClient, wallet: Wallet, chain_id: int) -> None:
    """Sign in, waiting as long as the platform says where one address does so too often."""
    for _ in range(SIGN_IN_ATTEMPTS):
        try:
            await client.sign_in(wallet, chain_id)
            return
        except ApiError as error:
            if error.retry_after_seconds is None:
                raise
            await asyncio.sleep(error.retry_after_seconds)
    raise AssertionError("the platform never let this address sign in")


def signed(reply: Reply, wallet: Wallet) -> str:
    """Return the line that hands over the signature that a card asks for."""
    action = reply.card.action("Sign")
    assert action.sign is not None, reply.text
    typed_data = action.sign["typed_data"]
    return f"{action.command} {wallet.sign_typed_data(typed_data)}"


@pytest_asyncio.fixture(loop_scope="session")
async def payers(world: World) -> AsyncIterator[list[Payer]]:
    """Twenty people with ten payments each, ready to be confirmed, their feeds being watched."""
    lock = asyncio.Lock()
    funder = Wallet.from_key(dev_account(FUNDER_INDEX).private_key)
    recipient = Wallet.create().address
    prepared = await asyncio.gather(*(prepare_payer(world, funder, recipient, lock) for _ in range(PEOPLE)))
    listening = [asyncio.ensure_future(payer.listen(world.stack.origin)) for payer in prepared]
    while not all(payer.position for payer in prepared):  # noqa: ASYNC110 - frames arrive in other tasks
        await asyncio.sleep(0.05)
    yield prepared
    for task in listening:
        task.cancel()
    for payer in prepared:
        await payer.client.close()


IN_FLIGHT = "SELECT count(*) FROM payment WHERE status NOT IN ('succeeded', 'failed', 'blocked', 'cancelled')"
EXECUTING = "SELECT count(*) FROM payment WHERE status = 'executing'"
SEEN_BY_CHAIN = "SELECT count(*) FROM payment WHERE step IN ('submitted', 'included')"
DUE = "SELECT count(*) FROM intent WHERE status = 'due'"

Kill = Callable[[Stack], None]


def kill_service(name: str) -> Kill:
    """Return what kills a service; the stack starts it again, as a cluster would."""
    return lambda stack: stack.kill(name)


def kill_nats(stack: Stack) -> None:
    """Kill the broker and start it on the same store."""
    stack.nats.kill()
    stack.nats.start()


def kill_postgres(stack: Stack) -> None:
    """Kill the database server with all its backends and start it on the same data."""
    stack.postgres.kill()
    stack.postgres.start()


VICTIMS: dict[str, tuple[str, str, Kill]] = {
    "payment-orchestrator": ("payment-orchestrator", IN_FLIGHT, kill_service("payment-orchestrator")),
    "settlement": ("payment-orchestrator", EXECUTING, kill_service("settlement")),
    "chain-monitor": ("payment-orchestrator", SEEN_BY_CHAIN, kill_service("chain-monitor")),
    "intent": ("intent", DUE, kill_service("intent")),
    "gateway": ("payment-orchestrator", IN_FLIGHT, kill_service("gateway")),
    "nats": ("payment-orchestrator", IN_FLIGHT, kill_nats),
    "postgres": ("payment-orchestrator", IN_FLIGHT, kill_postgres),
}
"""Whom to kill, and where to count the payments that are in a state it owns at that moment."""


@pytest.mark.parametrize("victim", VICTIMS)
async def test_a_kill_loses_and_doubles_nothing(
    world: World, payers: list[Payer], victim: str, tmp_path: Path
) -> None:
    owner, query, kill = VICTIMS[victim]
    since = datetime.now(UTC)
    confirming = [
        asyncio.ensure_future(payer.client.connection.post(line, timeout_seconds=90))
        for payer in payers
        for line in payer.lines
    ]
    in_state = await wait_for_state(lambda: world.value(owner, query))
    await asyncio.to_thread(kill, world.stack)
    assert in_state >= LEAST_IN_STATE, f"only {in_state} payments were in a state that {victim} owns"
    await asyncio.gather(*confirming)
    await wait_until_final(world, payers)
    await wait_until_quiet(world)
    await check_feeds(world, payers, since)
    judge(world, tmp_path)
    print(f"\n{victim}: {in_state} payments in a state it owns when it was killed; all final, nothing twice")


async def wait_for_state(count: Callable[[], Awaitable[Any]]) -> int:
    """Return the count as soon as enough payments are in the victim's hands."""
    async with asyncio.timeout(60):
        while True:
            found = int(await count())
            if found >= LEAST_IN_STATE:
                return found
            await asyncio.sleep(0.005)


async def wait_until_final(world: World, payers: list[Payer]) -> None:
    """Wait until every payer has seen the final event of every payment."""
    try:
        async with asyncio.timeout(FINAL_TIMEOUT_SECONDS):
            while any(len(payer.executed()) < PAYMENTS_PER_PERSON for payer in payers):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except TimeoutError:
        seen = sum(len(payer.executed()) for payer in payers)
        raise AssertionError(f"{seen} final events were seen; {await where_things_are(world)}") from None


async def where_things_are(world: World) -> dict[str, Any]:
    """Return counts that show where payments are stuck."""
    found: dict[str, Any] = {}
    for service, table, column in (
        ("payment-orchestrator", "payment", "status"),
        ("intent", "intent", "status"),
        ("settlement", "item", "state"),
    ):
        connection = await asyncpg.connect(world.stack.database_url(service), ssl=False)
        rows = await connection.fetch(f"SELECT {column}, count(*) FROM {table} GROUP BY {column}")
        await connection.close()
        found[service] = {row[0]: row[1] for row in rows}
    for service in world.stack.settings.services:
        if service.has_database:
            unsent = await world.value(service.name, "SELECT count(*) FROM outbox_unsent")
            parked = await world.value(service.name, "SELECT count(*) FROM parked_message")
            dead = await world.value(service.name, "SELECT count(*) FROM dead_letter")
            if unsent or parked or dead:
                found[f"{service.name} unsent, parked, dead"] = (unsent, parked, dead)
    return found


async def wait_until_quiet(world: World) -> None:
    """Wait until every outbox is empty and nothing waits, here or on the bus.

    The checker may then ask for everything. What a killed process was given comes again after its time.
    """
    query = "SELECT (SELECT count(*) FROM outbox_unsent) + (SELECT count(*) FROM parked_message)"
    services = [service.name for service in world.stack.settings.services if service.has_database]
    calm = 0
    async with asyncio.timeout(90):
        while calm < 3:
            waiting = [await world.value(service, query) for service in services]
            waiting.append(await messages_on_the_way(world))
            calm = calm + 1 if not any(waiting) else 0
            await asyncio.sleep(1)


async def messages_on_the_way(world: World) -> int:
    """Return how many messages of the event stream a consumer has not acknowledged."""
    async with httpx.AsyncClient() as client:
        url = f"{world.stack.nats.monitor_url}/jsz"
        answer = (await client.get(url, params={"consumers": "true", "accounts": "true"})).json()
    return sum(
        consumer["num_pending"] + consumer["num_ack_pending"]
        for account in answer["account_details"]
        for stream in account["stream_detail"]
        if stream["name"] == "EVENTS"
        for consumer in stream.get("consumer_detail") or ()
    )


FEED_OF_A_USER = """
SELECT convert_from(payload, 'UTF8')::jsonb ->> 'event_id' FROM outbox WHERE subject = $1 AND created_at > $2
"""


async def check_feeds(world: World, payers: list[Payer], since: datetime) -> None:
    """Compare what each bare WebSocket received with what was committed for its user since a time."""
    for payer in payers:
        received = Counter(frame["id"] for frame in payer.frames)
        twice = [identifier for identifier, count in received.items() if count > 1]
        assert not twice, f"{len(twice)} events came twice"
        expected: set[str] = set()
        for service in ("chat", "notification"):
            connection = await asyncpg.connect(world.stack.database_url(service), ssl=False)
            rows = await connection.fetch(FEED_OF_A_USER, f"feed.{payer.client.user.user_id}", since)
            await connection.close()
            expected |= {row[0] for row in rows}
        assert expected, "nothing was committed for this user"
        missing = expected - set(received)
        assert not missing, f"{len(missing)} of {len(expected)} events never came"


def judge(world: World, folder: Path) -> None:
    """Run the independent checker, a program of its own."""
    databases = {
        service.database: world.stack.database_url(service.name)
        for service in world.stack.settings.services
        if service.has_database
    }
    file = folder / "stack.json"
    file.write_text(
        json.dumps(
            {"rpc": world.chain["rpc_urls"][0], "escrow": world.chain["escrow"], "databases": databases}
        )
    )
    verdict = subprocess.run(
        [sys.executable, str(CHECKOUT / "tests" / "checker" / "checker.py"), str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
