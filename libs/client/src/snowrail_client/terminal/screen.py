"""The conversation on a terminal: a prompt below, cards that change above it, everything else scrolls up."""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app_or_none
from prompt_toolkit.history import History
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle

from snowrail_client.cards import Action, Card, parse_card
from snowrail_client.client import SnowrailClient
from snowrail_client.errors import ConnectionEnded, SnowrailError
from snowrail_client.events import RESYNC, Event
from snowrail_client.rpc import Rpc
from snowrail_client.terminal.board import Board
from snowrail_client.terminal.completion import PlatformCompleter
from snowrail_client.terminal.consent import YES, Consent, describe
from snowrail_client.terminal.output import printable, tell
from snowrail_client.wallet import Wallet

LEAVE = ("/quit", "/exit")
_PROMPT = "snowrail> "
_ROWS_OF_PROMPT = 4
_ANSWER_SECONDS = 30.0
_RECENT_MESSAGES = 6
_AGAIN = "/confirm"


class Screen:
    """One conversation until the user leaves it.

    Args:
        client: signed in and connected.
        wallet: signs what the user agrees to.
        rpc: node that the wallet's transactions are sent through; None where there is none.
        history: lines typed before.
    """

    def __init__(self, client: SnowrailClient, wallet: Wallet, rpc: Rpc | None, history: History) -> None:
        self._client = client
        self._wallet = wallet
        self._rpc = rpc
        self._board = Board()
        self._consent = Consent()
        self._own_lines: set[str] = set()
        self._questions: asyncio.Queue[tuple[Card, Action]] = asyncio.Queue()
        self._asked: tuple[Card, Action] | None = None
        self._being_signed: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._prompt: PromptSession[str] = PromptSession(
            history=history,
            completer=PlatformCompleter(client),
            complete_while_typing=True,
            complete_style=CompleteStyle.COLUMN,
            reserve_space_for_menu=6,
        )
        self._question: PromptSession[str] = PromptSession()

    async def run(self) -> None:
        """Talk until the user leaves, or the connection is over."""
        with patch_stdout(raw=True):
            feed = asyncio.create_task(self._follow_feed())
            try:
                await self._show_recent()
                await self._talk(feed)
            finally:
                for task in (feed, *self._tasks):
                    task.cancel()
                await asyncio.gather(feed, *self._tasks, return_exceptions=True)
        for line in self._board.lines(200, 400):
            tell(line)

    async def _talk(self, feed: asyncio.Task[None]) -> None:
        while not feed.done():
            if self._asked is None and not self._questions.empty():
                self._asked = self._questions.get_nowait()
            try:
                if self._asked is not None:
                    await self._answer_question(*self._asked)
                    self._asked = None
                    continue
                line = (await self._prompt.prompt_async(self._above)).strip()
            except KeyboardInterrupt:
                if self._asked is not None:
                    self._decline(self._asked[0])
                    self._asked = None
                continue
            except EOFError:
                return
            if line in LEAVE:
                return
            if line:
                self._start(self._say(line))
        tell("The connection is over.")

    async def _answer_question(self, card: Card, action: Action) -> None:
        lines = [f"{printable(card.title)}: {printable(action.label)}", *describe(action)]
        text = "\n".join([*self._region(len(lines)), *(f"  {line}" for line in lines)])
        answer = await self._question.prompt_async(f"{text}\nType {YES} to sign this with your wallet: ")
        if answer.strip().lower() != YES:
            self._decline(card)
            return
        tell("Signing…")
        self._start(self._perform(card, action))

    def _decline(self, card: Card) -> None:
        """Ask nothing more about a card, until the user wants it."""
        self._being_signed.discard(card.card_id)
        while self._consent.next_action(card) is not None:
            continue
        tell(f"Not signed. {_AGAIN} asks again.")

    async def _perform(self, card: Card, action: Action) -> None:
        try:
            performed = await self._client.perform(action, self._wallet, self._rpc)
        except ValueError:
            tell("This needs a node to send the transaction through: name one with --rpc.")
            return
        finally:
            self._being_signed.discard(card.card_id)
        if performed.transaction_hash is not None:
            tell(f"Sent transaction {performed.transaction_hash}")
        if performed.reply is not None:
            self._own_lines.add(performed.reply.message_id)
        newest = self._board.card(card.card_id)
        if newest is not None:
            self._offer(newest)

    async def _say(self, line: str) -> None:
        reply = await self._client.say(line, _ANSWER_SECONDS)
        self._own_lines.add(reply.message_id)
        self._board.show_again(reply.card, reply.text)
        if line.lower().startswith(_AGAIN):
            self._consent.ask_anew(reply.card)
        self._offer(self._board.card(reply.card.card_id) or reply.card)

    async def _follow_feed(self) -> None:
        try:
            async for event in self._client.connection.events():
                await self._take(event)
        except ConnectionEnded as error:
            tell(f"Disconnected: {error}")
        finally:
            self._interrupt()

    async def _take(self, event: Event) -> None:
        if event.name == RESYNC:
            await self._show_recent()
        elif event.name == "chat:message" and "card" in event.data:
            self._show(event.data["card"], event.data["text"], event.data.get("in_reply_to"))
        elif event.name == "notification":
            tell(f"* {event.data.get('title', '')}: {event.data.get('message', '')}")

    def _show(self, wire: Any, text: str, in_reply_to: str | None) -> None:
        card = parse_card(wire)
        finished = self._board.put(card, text)
        for gone in (*self._board.crowded_out(), *([] if finished is None else [finished])):
            tell(gone)
        if in_reply_to in self._own_lines:
            self._offer(card)
        self._redraw()

    def _offer(self, card: Card) -> None:
        """Ask the user to sign what a card wants next, if they were not asked before: one thing at a time."""
        if card.card_id in self._being_signed:
            return
        action = self._consent.next_action(card)
        if action is not None:
            self._being_signed.add(card.card_id)
            self._questions.put_nowait((card, action))
            self._interrupt()

    async def _show_recent(self) -> None:
        """Show the end of the conversation, newest last."""
        query = {"limit": str(_RECENT_MESSAGES)}
        page = await self._client.request("GET", "/api/chat/messages", query=query)
        for message in reversed(page["items"]):
            if message["card"] is None:
                tell(f"{_PROMPT}{message['text']}")
            else:
                self._show(message["card"], message["text"], None)

    def _region(self, more_rows: int = 0) -> Sequence[str]:
        size = self._prompt.app.output.get_size()
        return self._board.lines(max(size.rows - _ROWS_OF_PROMPT - more_rows, 1), size.columns)

    def _above(self) -> str:
        offline = "" if self._client.connection.is_connected else "(offline) "
        return "\n".join([*self._region(), f"{offline}{_PROMPT}"])

    def _redraw(self) -> None:
        app = get_app_or_none() or self._prompt.app
        if app.is_running:
            app.invalidate()

    def _interrupt(self) -> None:
        """End a prompt into which nothing is typed, so that what waits for the user can be asked."""
        app = self._prompt.app
        if app.is_running and not self._prompt.default_buffer.text:
            app.exit(result="")

    def _start(self, work: Any) -> None:
        async def guarded() -> None:
            try:
                await work
            except (SnowrailError, aiohttp.ClientError, TimeoutError, ValueError) as error:
                tell(f"That did not work: {error or type(error).__name__}")

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
