"""Payments prepared up front and confirmed at an open-loop rate, each followed to its final event."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from eth_hash.auto import keccak

from snowrail_chain.eip712 import domain_separator

from .crowd import Chain, Member

PREPARING_TIMEOUT_SECONDS = 300
SETTLING_TIMEOUT_SECONDS = 120
FIRST_ATOMS = 1_000_000
UNANSWERED_LINES = 4
"""Of each payer while intents are made."""


@dataclass(slots=True)
class Payment:
    """An intent that waits for its signature, and when what happened to it.

    Attributes:
        confirmation: the line to send, with the signature.
        offered_at, accepted_at, final_at: seconds of the monotonic clock; 0 before.
    """

    payer: Member
    intent_id: str
    confirmation: str
    offered_at: float = 0.0
    accepted_at: float = 0.0
    final_at: float = 0.0
    tx_hash: str = ""
    block_number: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a run at a rate came to.

    Attributes:
        offered_per_second: confirmations sent.
        completed_per_second: final events within the window, divided by its length.
        payments: those that were confirmed within the window.
        backlog_seconds: how long after the last confirmation the last payment was final.
    """

    offered_per_second: float
    completed_per_second: float
    payments: list[Payment]
    backlog_seconds: float

    @property
    def milliseconds(self) -> list[float]:
        """From the accepted confirmation to the final event."""
        return [1_000 * (payment.final_at - payment.accepted_at) for payment in self.payments]


class PaymentLoad:
    """Prepares and confirms payments of a crowd: each member pays the next one.

    Pass `on_frame` to the crowd, then `use` its members.
    """

    def __init__(self, chain: Chain) -> None:
        self._separator = b"\x19\x01" + domain_separator(chain.chain_id, chain.escrow)
        self._members: Sequence[Member] = ()
        self._unanswered: list[asyncio.Semaphore] = []
        self._amount = FIRST_ATOMS
        self._prepared: deque[Payment] = deque()
        self._created = 0
        self._wanted: dict[str, Payment] = {}
        self._by_frame: dict[str, Payment] = {}
        self._running: list[Payment] = []
        self._changed = asyncio.Event()
        self.failures: list[str] = []

    def use(self, members: Sequence[Member]) -> None:
        """Take the people who pay."""
        self._members = members
        self._unanswered = [asyncio.Semaphore(UNANSWERED_LINES) for _ in members]

    def on_frame(self, member: Member, text: str) -> None:
        """Take a frame of anybody's socket."""
        kind = text[9 : text.index('"', 9)]
        if kind == "intent:executed":
            self._finish(orjson.loads(text)["data"])
        elif kind == "chat:accepted":
            frame = orjson.loads(text)
            payment = self._by_frame.pop(frame["id"], None)
            if payment is not None:
                payment.accepted_at = time.monotonic()
        elif kind == "intent:created":
            self._prepare(member, orjson.loads(text)["data"])
        elif kind in ("tx:failed", "fraud_detected", "error", "resync", "disconnect"):
            self.failures.append(text[:500])
            self._changed.set()

    async def prepare(self, count: int) -> None:
        """Have intents created through the chat and signed, as many as there are not yet."""
        missing = count - len(self._prepared)
        wanted = self._created + missing
        shares = [
            missing // len(self._members) + (index < missing % len(self._members))
            for index in range(len(self._members))
        ]
        await asyncio.gather(
            *(
                self._type(member, share)
                for member, share in zip(self._members, shares, strict=True)
                if share > 0
            )
        )
        async with asyncio.timeout(PREPARING_TIMEOUT_SECONDS):
            while self._created < wanted:
                self._changed.clear()
                assert not self.failures, self.failures[:3]
                await self._changed.wait()
        self._prepared = deque(_in_turns(self._prepared))

    async def run(self, per_second: float, seconds: float, lead_seconds: float = 5.0) -> Outcome:
        """Confirm at a rate, whatever comes back, and wait until every payment is final.

        Args:
            per_second: confirmations offered.
            seconds: length of the window that is measured.
            lead_seconds: how long the rate is offered before the window, so that the flow is steady in it.
        """
        payments = [self._prepared.popleft() for _ in range(int(per_second * (lead_seconds + seconds)))]
        self._wanted = {payment.intent_id: payment for payment in payments}
        begun = time.monotonic()
        for number, payment in enumerate(payments):
            wait = begun + number / per_second - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            payment.offered_at = time.monotonic()
            self._by_frame[payment.intent_id] = payment
            await payment.payer.send(
                {"type": "chat:message", "id": payment.intent_id, "text": payment.confirmation}
            )
        offered_until = time.monotonic()
        async with asyncio.timeout(SETTLING_TIMEOUT_SECONDS):
            while self._wanted:
                self._changed.clear()
                assert not self.failures, self.failures[:3]
                await self._changed.wait()
        window = (begun + lead_seconds, offered_until)
        completed = sum(window[0] <= payment.final_at < window[1] for payment in payments)
        return Outcome(
            per_second,
            completed / (window[1] - window[0]),
            [payment for payment in payments if payment.offered_at >= window[0]],
            max(payment.final_at for payment in payments) - offered_until,
        )

    async def _type(self, member: Member, count: int) -> None:
        """Type `/pay` lines, each for another amount: the same one again would be taken for a duplicate."""
        recipient = self._members[(member.number + 1) % len(self._members)].address
        for _ in range(count):
            await self._unanswered[member.number].acquire()
            self._amount += 1
            whole, atoms = divmod(self._amount, 10**6)
            line = f"/pay {recipient} {whole}.{atoms:06d} USDC"
            await member.send({"type": "chat:message", "id": f"pay-{self._amount}", "text": line})
            await asyncio.sleep(0.06)  # below what one connection may send

    def _prepare(self, member: Member, data: dict[str, str]) -> None:
        digest = keccak(self._separator + bytes.fromhex(data["order_hash"][2:]))
        line = f"/confirm {data['intent_id']} {member.sign(digest)}"
        self._prepared.append(Payment(member, data["intent_id"], line))
        self._unanswered[member.number].release()
        self._created += 1
        self._changed.set()

    def _finish(self, data: dict[str, str]) -> None:
        payment = self._wanted.pop(data["intent_id"], None)
        if payment is None:
            return
        payment.final_at = time.monotonic()
        payment.tx_hash, payment.block_number = data["tx_hash"], int(data["block_number"])
        if not self._wanted:
            self._changed.set()


def _in_turns(payments: Iterable[Payment]) -> list[Payment]:
    """Order payments so that consecutive ones are of different people."""
    turns: dict[int, int] = {}
    ordered: list[tuple[int, int, Payment]] = []
    for payment in payments:
        number = payment.payer.number
        turns[number] = turns.get(number, 0) + 1
        ordered.append((turns[number], number, payment))
    return [payment for _, _, payment in sorted(ordered, key=lambda item: item[:2])]
