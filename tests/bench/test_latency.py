"""How long a payment takes beside waiting for blocks, at a low rate."""

import asyncio
import json
import time
from dataclasses import dataclass, field

import aiohttp
import pytest
import uvloop

from snowrail_local.stack import Stack

from .conftest import Table
from .crowd import Chain, crowd, give_money
from .payments import Payment, PaymentLoad
from .stacks import measured_stack

PEOPLE = 20
PER_SECOND = 2
SECONDS = 40


@dataclass
class Watch:
    """When the node had transactions and blocks, on the monotonic clock of this process."""

    pending_at: dict[str, float] = field(default_factory=dict[str, float])
    mined_at: dict[int, float] = field(default_factory=dict[int, float])

    async def run(self, chain: Chain) -> None:
        """Listen to the node until cancelled."""
        async with aiohttp.ClientSession() as http, http.ws_connect(chain.websocket_url) as socket:
            for number, topic in enumerate(("newHeads", "newPendingTransactions")):
                request = {"jsonrpc": "2.0", "id": number, "method": "eth_subscribe", "params": [topic]}
                await socket.send_json(request)
            async for message in socket:
                now = time.monotonic()
                result = json.loads(message.data).get("params", {}).get("result")
                if isinstance(result, str):
                    self.pending_at[result] = now
                elif result is not None:
                    self.mined_at[int(result["number"], 16)] = now

    def beside_blocks(self, payment: Payment, confirmations: int) -> float:
        """Return the milliseconds until the transaction was sent, and after the block that made it final."""
        before = self.pending_at[payment.tx_hash] - payment.accepted_at
        after = payment.final_at - self.mined_at[payment.block_number + confirmations - 1]
        return 1_000 * (before + after)


@pytest.mark.bench
def test_latency_beside_blocks(table: Table) -> None:
    """From the accepted confirmation to the client's final event, less the time between sending and finality.

    Blocks come each second and two make a payment final. The chain's share lasts from the moment the node
    announces the transaction as pending to the moment it announces the block that makes it final.
    """
    with measured_stack() as stack:
        uvloop.run(_measure(stack, table))


async def _measure(stack: Stack, table: Table) -> None:
    chain = Chain.of(stack)
    load = PaymentLoad(chain)
    watch = Watch()
    watching = asyncio.create_task(watch.run(chain))
    async with crowd(stack, PEOPLE, load.on_frame) as members:
        load.use(members)
        await give_money(chain, members)
        await load.prepare(PER_SECOND * (SECONDS + 5))
        outcome = await load.run(PER_SECOND, SECONDS)
    watching.cancel()
    table.add_percentiles(
        "payment without block time, 2 payments/s",
        [watch.beside_blocks(payment, chain.confirmations) for payment in outcome.payments],
    )
    table.add_percentiles("payment with 1 s blocks, 2 payments/s", outcome.milliseconds)
