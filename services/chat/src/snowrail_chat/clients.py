"""What chat asks others for: balances of the chain monitor, transactions of the intent service.

Both are asked before a batch's transaction, for all its lines at once, and never for long: a service that did
not answer is left alone for a moment, so that it delays no other line.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from snowrail_chain.config import ChainConfig
from snowrail_events.fields import Atoms
from snowrail_events.parts import UnsignedTransaction
from snowrail_kit.consumer import Unavailable

QUERIES_PER_REQUEST = 500
"""Balances of one question: what the chain monitor takes."""
MAX_WALLETS = 500
MAX_QUESTIONS = 100
"""Wallets, and transactions, that are asked for on behalf of one batch; the others are told to try again."""
CONCURRENT_REQUESTS = 16


@dataclass(frozen=True, slots=True)
class TransactionQuestion:
    """Which transactions of an intent are asked for.

    Attributes:
        purpose: `deposit`, `cancel` or `return_expired`.
        amount: atoms to deposit.
    """

    intent_id: UUID
    purpose: str
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class BuiltTransactions:
    """Transactions for the payer's wallet, to be sent in this order."""

    transactions: tuple[UnsignedTransaction, ...]


@dataclass(frozen=True, slots=True)
class RefusedTransactions:
    """Why there are none, for programs and for people."""

    code: str
    detail: str


TransactionAnswer = BuiltTransactions | RefusedTransactions


class Balances(Protocol):
    """Reads balances on the chain on which commands pay."""

    async def read(self, addresses: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """Return atoms by token id, by EIP-55 address.

        Raises:
            Unavailable: they cannot be read now.
        """
        ...


class Transactions(Protocol):
    """Has the intent service build transactions for wallets."""

    async def build(
        self, questions: Collection[TransactionQuestion]
    ) -> Mapping[TransactionQuestion, TransactionAnswer]:
        """Return the answers by question; those that could not be had now are missing."""
        ...


class PatientClient:
    """Requests to one service: bounded in time, and none for a while after it did not answer."""

    def __init__(
        self, http: httpx.AsyncClient, url: str, timeout_seconds: float, pause_seconds: float
    ) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._pause_seconds = pause_seconds
        self._paused_until = 0.0
        self._places = asyncio.Semaphore(CONCURRENT_REQUESTS)

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return an answer below 500.

        Raises:
            Unavailable: there was none in time, or there was none a moment ago.
        """
        async with self._places:
            if time.monotonic() < self._paused_until:
                raise Unavailable(f"{self._url} did not answer a moment ago")
            try:
                answer = await self._http.request(
                    method, f"{self._url}{path}", timeout=self._timeout_seconds, **options
                )
                if answer.is_server_error:
                    answer.raise_for_status()
            except httpx.HTTPError as error:
                self._paused_until = time.monotonic() + self._pause_seconds
                raise Unavailable(f"{self._url}: {error or type(error).__name__}") from error
            return answer


class _BalancesAnswer(BaseModel):
    balances: list[Atoms]


class HttpBalances:
    """The chain monitor's internal HTTP interface."""

    def __init__(self, client: PatientClient, chain: ChainConfig) -> None:
        self._client = client
        self._chain = chain
        self._token_ids = [chain.token_id(token.symbol) for token in chain.tokens]

    async def read(self, addresses: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """Return atoms by token id, by EIP-55 address; at most `MAX_WALLETS` of them.

        Raises:
            Unavailable: it does not answer in time, or answers something else.
        """
        asked = sorted(addresses)[:MAX_WALLETS]
        step = max(1, QUERIES_PER_REQUEST // len(self._token_ids))
        parts = [asked[start : start + step] for start in range(0, len(asked), step)]
        found: dict[str, Mapping[str, int]] = {}
        for balances in await asyncio.gather(*(self._read(part) for part in parts)):
            found.update(balances)
        return found

    async def _read(self, addresses: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        queries = [
            {"address": address, "token": token.address}
            for address in addresses
            for token in self._chain.tokens
        ]
        body = {"chain_id": self._chain.chain_id, "queries": queries, "allowances": []}
        answer = await self._client.request("POST", "/internal/balances", json=body)
        try:
            answer.raise_for_status()
            balances = _BalancesAnswer.model_validate_json(answer.content).balances
        except (httpx.HTTPError, ValidationError) as error:
            raise Unavailable(f"balances: {error}") from error
        if len(balances) != len(queries):
            raise Unavailable("the chain monitor answered another number of balances than asked")
        width = len(self._token_ids)
        return {
            address: dict(zip(self._token_ids, balances[index * width :], strict=False))
            for index, address in enumerate(addresses)
        }


class _TransactionsAnswer(BaseModel):
    transactions: tuple[UnsignedTransaction, ...]


class _Problem(BaseModel):
    code: str
    detail: str


class HttpTransactions:
    """The intent service's internal HTTP interface."""

    def __init__(self, client: PatientClient) -> None:
        self._client = client

    async def build(
        self, questions: Collection[TransactionQuestion]
    ) -> Mapping[TransactionQuestion, TransactionAnswer]:
        """Return the answers by question; those that could not be had now are missing."""
        asked = list(dict.fromkeys(questions))[:MAX_QUESTIONS]
        answers = await asyncio.gather(*(self._build(question) for question in asked))
        return {
            question: answer for question, answer in zip(asked, answers, strict=True) if answer is not None
        }

    async def _build(self, question: TransactionQuestion) -> TransactionAnswer | None:
        params = {"purpose": question.purpose}
        if question.amount is not None:
            params["amount"] = str(question.amount)
        path = f"/internal/intents/{question.intent_id}/transactions"
        try:
            answer = await self._client.request("GET", path, params=params)
            if answer.is_success:
                return BuiltTransactions(_TransactionsAnswer.model_validate_json(answer.content).transactions)
            problem = _Problem.model_validate_json(answer.content)
        except (Unavailable, ValidationError):
            return None
        return RefusedTransactions(problem.code, problem.detail)
