"""Somebody in the demonstration: a wallet of their own, and everything they type and are told."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

from snowrail_client import (
    Action,
    ApiError,
    ConnectionEnded,
    Event,
    Reply,
    Rpc,
    SnowrailClient,
    TransactionFailed,
    Wallet,
)
from snowrail_local.demo.chain import Chain, Token, read_balance
from snowrail_local.demo.screen import Screen
from snowrail_local.demo.wording import line_of, plain, short

STEP_TIMEOUT_SECONDS = 25.0
_KNOWN_SOON_ATTEMPTS = 5
_KNOWN_SOON_PAUSE_SECONDS = 0.5


class Deviation(Exception):
    """A step did not end as the story says."""


def expect(condition: object, message: str) -> None:
    """Raise Deviation with a message unless a condition holds."""
    if not condition:
        raise Deviation(message)


class Person:
    """Somebody who signs in, types, signs and watches their feed.

    Args:
        name: what they want to be called.
        client: their session.
        wallet: their keys, which stay here.
    """

    def __init__(
        self, name: str, client: SnowrailClient, wallet: Wallet, chain: Chain, screen: Screen
    ) -> None:
        self.name = name
        self.client = client
        self._wallet = wallet
        self._chain = chain
        self._screen = screen
        self._rpc: Rpc = client.rpc(chain.url)
        self._watching: asyncio.Task[None] | None = None
        self._told: list[Event] = []
        self._news = asyncio.Condition()

    @property
    def address(self) -> str:
        """EIP-55 address."""
        return self._wallet.address

    @property
    def handle(self) -> str:
        """How others call them, with `@`."""
        return f"@{self.client.user.handle}"

    async def enter(self) -> None:
        """Sign in, take the wanted name if it is free, and open the live connection."""
        user = await self.client.sign_in(self._wallet, self._chain.chain_id)
        expect(user.address == self.address, f"{self.name} signed in as {user.address}")
        self._screen.wallet(self.name, f"signed the sign-in message (EIP-4361) as {self.address}")
        if user.handle != self.name:
            try:
                await self.client.request("PATCH", "/api/accounts/user/profile", {"handle": self.name})
            except ApiError as error:
                if error.status != 409:
                    raise
                self._screen.note(f"@{self.name} is somebody else's name")
            await self.client.refresh()  # the name stands in the token
        await self.client.connect()
        self._watching = asyncio.create_task(self._watch())
        self._screen.event(self.name, "auth:success", f"connected as {self.handle}")

    async def leave(self) -> None:
        """Close the connection."""
        await self.client.close()
        if self._watching is not None:
            with contextlib.suppress(ConnectionEnded):
                await self._watching

    async def say(self, line: str, shown: str = "") -> Reply:
        """Type a line and return the answer, once a limit that it ran into is over."""
        self._screen.typed(self.name, shown or line)
        reply = await self.client.say(line)
        self._screen.card(reply.text)
        if reply.card.retry_after_seconds is not None:
            self._screen.note(f"waiting {reply.card.retry_after_seconds} s, as the card says")
            await asyncio.sleep(reply.card.retry_after_seconds)
            return await self.say(line, shown)
        return reply

    async def pay(self, recipient: str, amount: str) -> Reply:
        """Type `/pay`; go on where it is the same payment as a moment ago, in an earlier demonstration."""
        line = f"/pay {recipient} {amount}"
        reply = await self.say(line)
        for _ in range(_KNOWN_SOON_ATTEMPTS):
            if reply.card.status != "user_unknown":
                break
            await asyncio.sleep(_KNOWN_SOON_PAUSE_SECONDS)  # chat hears of a new name a moment later
            reply = await self.say(line)
        if reply.card.status == "duplicate_payment":
            reply = await self.say(reply.card.actions[0].command)
        return reply

    async def intent_of(self, reply: Reply) -> str:
        """Return the whole id of the payment that a card shows.

        Raises:
            Deviation: the card is no payment that waits for its payer.
        """
        card = reply.card
        expect(card.status == "awaiting_authorisation", f"{card.title} ({plain(card.status or card.kind)})")
        created = await self.until(
            "intent:created", lambda data: str(data["intent_id"]).startswith(card.row("Id"))
        )
        return str(created["intent_id"])

    async def sign(self, action: Action) -> None:
        """Have the wallet do what a button asks for."""
        if action.sign is None:
            raise Deviation(f"the button {action.label} asks nothing of the wallet")
        if action.sign["kind"] == "typed_data":
            typed_data = action.sign["typed_data"]
            signature = self._wallet.sign_typed_data(typed_data)
            self._screen.wallet(self.name, f"signed the {typed_data['primaryType']} (EIP-712)")
            await self.say(f"{action.command} {signature}", f"{action.command} {short(signature)}")
            return
        transaction = action.sign["transaction"]
        value = int(transaction["value"])
        what = self._chain.token("CRO").text(value) if value else "a call"
        self._screen.wallet(self.name, f"{action.label}: sends {what} to {short(transaction['to'])}")
        performed = await self.client.perform(action, self._wallet, self._rpc)
        expect(performed.transaction_hash, f"the wallet sent nothing for {action.label}")
        self._screen.wallet(self.name, f"{short(performed.transaction_hash or '')} is in a block")

    async def until(self, name: str, accepts: Callable[[Any], bool]) -> Any:
        """Return the data of the first event of a name that is accepted, once it was shown.

        Raises:
            Deviation: there was none in time.
        """

        def found() -> Event | None:
            return next((event for event in self._told if event.name == name and accepts(event.data)), None)

        try:
            async with asyncio.timeout(STEP_TIMEOUT_SECONDS), self._news:
                return cast("Event", await self._news.wait_for(found)).data
        except TimeoutError:
            raise Deviation(f"{self.name} waited {STEP_TIMEOUT_SECONDS:.0f} s for {name} in vain") from None

    async def balance(self, token: Token) -> int:
        """Return what the wallet holds on the chain, in atoms."""
        try:
            return await read_balance(self._rpc, token, self.address)
        except TransactionFailed as error:
            raise Deviation(f"the chain does not tell a balance: {error}") from error

    async def _watch(self) -> None:
        looks: dict[str, str] = {}
        async for event in self.client.connection.events():
            self._show(event, looks)
            self._told.append(event)
            async with self._news:
                self._news.notify_all()

    def _show(self, event: Event, looks: dict[str, str]) -> None:
        described = line_of(event, self._chain)
        if described is None:
            return
        text, style = described
        if event.name == "chat:message":
            card_id = event.data["card"]["card_id"]
            if looks.get(card_id) == text:
                return  # the card looks as before
            looks[card_id] = text
        self._screen.event(self.name, event.name, text, style)
