"""People who use the platform through its public interfaces only, each with a wallet of their own."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from snowrail_client import Reply, Rpc, SnowrailClient, Wallet
from snowrail_local.stack import Stack

PATIENCE_SECONDS = 60.0
KNOWN_SOON_PAUSES_SECONDS = (0.3, 0.6, 1.2, 2.4, 4.8, 9.6)
"""Few and long enough for the limit on commands."""


class PatientClient(SnowrailClient):
    """A client for a machine that may stall."""

    async def say(self, text: str, timeout_seconds: float = PATIENCE_SECONDS) -> Reply:
        """See `SnowrailClient.say`."""
        return await super().say(text, timeout_seconds)


@dataclass(frozen=True)
class Chain:
    """What a wallet has to know about the development chain."""

    chain_id: int
    url: str
    escrow: str
    tokens: dict[str, str]

    @classmethod
    def of(cls, stack: Stack) -> "Chain":
        """Return the chain of a running stack."""
        chain: dict[str, Any] = json.loads(stack.settings.chains_file.read_text())["chains"][0]
        tokens = {token["symbol"]: token["address"] for token in chain["tokens"]}
        return cls(chain["chain_id"], chain["rpc_urls"][0], chain["escrow"], tokens)


class Person:
    """Somebody with a wallet, signed in and connected."""

    def __init__(self, client: SnowrailClient, wallet: Wallet, rpc: Rpc, chain: Chain) -> None:
        self.client = client
        self.wallet = wallet
        self.rpc = rpc
        self.chain = chain

    @property
    def address(self) -> str:
        """EIP-55 address."""
        return self.wallet.address

    @property
    def handle(self) -> str:
        """Name without the leading `@`."""
        return self.client.user.handle

    async def say(self, text: str) -> Reply:
        """Type a line and return the answer."""
        return await self.client.say(text)

    async def pay(self, recipient: "Person", amount: str, currency: str = "CRO") -> Reply:
        """Type `/pay @recipient amount currency`. Chat hears of new people a moment later."""
        line = f"/pay @{recipient.handle} {amount} {currency}"
        reply = await self.say(line)
        for pause_seconds in KNOWN_SOON_PAUSES_SECONDS:
            if reply.card.status != "user_unknown":
                break
            await asyncio.sleep(pause_seconds)
            reply = await self.say(line)
        return reply

    async def sign(self, reply: Reply, *, approve: bool = True) -> None:
        """Do all that a card asks the wallet for, in order."""
        for action in reply.card.signing_actions:
            if approve or "pprove" not in action.label:
                await self.client.perform(action, self.wallet, self.rpc)

    async def until_final(self, intent_id: str, timeout_seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Return the `intent:executed` event of an intent."""
        event = await self.client.connection.wait_for(
            "intent:executed", lambda item: item.data["intent_id"] == intent_id, timeout_seconds
        )
        return dict(event.data)

    async def until_status(
        self, intent_id: str, status: str, timeout_seconds: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """Return the `intent:updated` event by which an intent reached a status."""
        event = await self.client.connection.wait_for(
            "intent:updated",
            lambda item: item.data["intent_id"] == intent_id and item.data["status"] == status,
            timeout_seconds,
        )
        return dict(event.data)

    async def created_intent(self, reply: Reply) -> dict[str, Any]:
        """Return the `intent:created` event of the intent that a card shows."""
        event = await self.client.connection.wait_for(
            "intent:created",
            lambda item: item.data["intent_id"] in reply.text or _shown(item.data, reply),
            PATIENCE_SECONDS,
        )
        return dict(event.data)

    async def balance(self, symbol: str) -> int:
        """Return what the wallet holds on the chain, in atoms."""
        return await balance_of(self.rpc, self.chain, self.address, symbol)


def _shown(data: Any, reply: Reply) -> bool:
    return any(str(data["intent_id"])[:8] in action.command for action in reply.card.actions)


async def balance_of(rpc: Rpc, chain: Chain, address: str, symbol: str) -> int:
    """Return a balance read from the chain, in atoms."""
    if symbol == "CRO":
        return int(await rpc.call("eth_getBalance", address, "latest"), 16)
    data = "0x70a08231" + address[2:].lower().rjust(64, "0")
    return int(await rpc.call("eth_call", {"to": chain.tokens[symbol], "data": data}, "latest"), 16)


NewPerson = Callable[..., Awaitable[Person]]
"""`await new_person(cro=10, usdc=100)`: a fresh wallet with whole tokens, signed in and connected."""


async def fund(rpc: Rpc, chain: Chain, funder: Wallet, address: str, cro: int, usdc: int) -> None:
    """Give an address whole tokens from a development account."""
    gas = 10**18 if cro or usdc else 0
    if gas:
        transaction = {
            "to": address,
            "value": str(cro * 10**18 + gas),
            "data": "0x",
            "chain_id": chain.chain_id,
        }
        await rpc.wait_for_receipt(await funder.send_transaction(rpc, transaction))
    if usdc:
        data = "0xa9059cbb" + address[2:].lower().rjust(64, "0") + f"{usdc * 10**6:064x}"
        transaction = {"to": chain.tokens["USDC"], "value": "0", "data": data, "chain_id": chain.chain_id}
        await rpc.wait_for_receipt(await funder.send_transaction(rpc, transaction))
