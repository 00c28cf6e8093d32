"""How long the engine takes over ten thousand payments that all fall due at the same moment."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import web

from snowrail_chain.config import ChainConfig, TokenConfig
from snowrail_chain.deploy import write_chains_file
from snowrail_events import IntentCreatedV1, IntentCreateV1, UserRegisteredV1
from snowrail_intent.app import service
from snowrail_intent.settings import LevelLimitSettings, Settings, TokenLimitSettings
from snowrail_testkit import Broker, CreateDatabase, FakeClock, eventually, running_service
from snowrail_testkit.escrow import PAYER_KEYS, Payer
from snowrail_testkit.tokens import TokenIssuer

from .conftest import Table

INTENTS = 10_000
GOAL_SECONDS = 5
PLENTY = "1000000000"
TOKEN = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
RECIPIENT = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
CHAIN = ChainConfig(
    chain_id=31337,
    name="Bench chain",
    rpc_urls=("http://127.0.0.1:1",),
    confirmations=2,
    block_time_seconds=1,
    escrow="0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
    tokens=(
        TokenConfig(symbol="CRO", address=f"0x{0:040x}", decimals=18),
        TokenConfig(symbol="USDC", address=TOKEN, decimals=6),
    ),
)

# each copy has a user, a wallet and an order of its own, as payments of different people have
_COPIES = """
WITH copies AS (SELECT gen_random_uuid() AS intent_id, gen_random_uuid() AS user_id,
    sha256(number::text::bytea) AS order_hash, '0x' || lpad(to_hex(number), 40, '0') AS payer
    FROM generate_series(1, $2) AS number),
people AS (INSERT INTO user_account SELECT copies.user_id, copies.payer, kyc_level, known.changed_at
    FROM copies, user_account AS known),
intents AS (INSERT INTO intent SELECT (jsonb_populate_record(intent, to_jsonb(copies)
    || jsonb_build_object('status', 'armed', 'approval_amount', 0, 'next_check_at', not_before))).*
    FROM copies, intent WHERE intent.intent_id = $1)
INSERT INTO intent_order SELECT (jsonb_populate_record(intent_order, to_jsonb(copies))).*
    FROM copies, intent_order WHERE intent_order.intent_id = $1
"""


async def answer(request: web.Request) -> web.Response:
    """Answer as chain-monitor does: everybody has plenty."""
    body = await request.json()
    return web.json_response(
        {
            "balances": [PLENTY] * len(body["queries"]),
            "allowances": [PLENTY] * len(body["allowances"]),
            "gas_price": "7",
            "block_number": 1,
        }
    )


@asynccontextmanager
async def rich_chain() -> AsyncGenerator[str]:
    """Lend the address of a chain-monitor on which everybody has plenty."""
    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_post("/internal/balances", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.bench
async def test_due_intents(
    broker: Broker, create_database: CreateDatabase, clock: FakeClock, tmp_path: Path, table: Table
) -> None:
    """From the moment they fall due until every one is judged, recorded and handed to payment."""
    database = await create_database("snowrail_intent")
    write_chains_file(tmp_path / "chains.json", [CHAIN])
    boundless = TokenLimitSettings(per_transaction=Decimal(10**9), per_day=Decimal(10**9))
    payer, user_id = Payer(PAYER_KEYS[0]), uuid4()
    async with rich_chain() as monitor_url:
        settings = broker.settings(
            Settings,
            "intent",
            database,
            chains_file=tmp_path / "chains.json",
            chain_monitor_url=monitor_url,
            jwt_public_keys_file=TokenIssuer.create(tmp_path).jwks_file,
            payment_limits={0: LevelLimitSettings(gas_per_day=10**15, tokens={"USDC": boundless})},
        )
        async with running_service(service, settings, clock=clock) as running:
            await broker.probe.publish(
                UserRegisteredV1(
                    user_id=user_id,
                    handle="alice",
                    address=payer.address,
                    roles=("user",),
                    kyc_level=0,
                    changed_at=clock.now(),
                )
            )
            model = IntentCreateV1(
                intent_id=uuid4(),
                user_id=user_id,
                payer=payer.address,
                recipient=RECIPIENT,
                token=f"31337:{TOKEN}",
                amount=1_000,
                not_before=clock.now() + timedelta(hours=1),
                requested_at=clock.now(),
            )
            await broker.probe.publish(model)
            await broker.probe.collect(IntentCreatedV1, 1)
            connection = await asyncpg.connect(database.superuser_url, ssl=False)
            await connection.execute(_COPIES, model.intent_id, INTENTS)
            await connection.execute("ANALYZE")

            async def all_due() -> bool:
                found = await connection.fetchval("SELECT count(*) FROM occurrence")
                return int(found) == INTENTS

            clock.advance(3_603)
            begun = time.monotonic()
            running.parts.wake_engine()
            await eventually(all_due, timeout_seconds=120)
            elapsed = time.monotonic() - begun
            recorded = await connection.fetchval("SELECT count(*) FROM evaluation")
            await connection.close()
    assert recorded == INTENTS
    table.add(f"{INTENTS:,} due intents, judged and handed to payment", elapsed, "s", f"< {GOAL_SECONDS}")
    table.add("due intents judged", INTENTS / elapsed, "per s", f"> {INTENTS // GOAL_SECONDS}")
