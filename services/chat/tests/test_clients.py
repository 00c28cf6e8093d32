"""Requests to other services: bounded, and none for a while after a failure."""

import time
from types import SimpleNamespace

import httpx
import pytest

from snowrail_chain.config import ChainRegistry
from snowrail_chat import clients
from snowrail_chat.clients import HttpBalances, HttpTransactions, PatientClient, TransactionQuestion
from snowrail_kit.consumer import Unavailable
from snowrail_testkit import SequentialIds

from .support import CHAIN_ID, CHAINS, NATIVE, Neighbours

CHAIN = ChainRegistry.model_validate(CHAINS).chain(CHAIN_ID)


def client(neighbours: Neighbours, pause_seconds: float = 60) -> PatientClient:
    return PatientClient(httpx.AsyncClient(), neighbours.url, 10, pause_seconds)


async def test_many_wallets_are_asked_for_in_questions_that_are_taken(neighbours: Neighbours) -> None:
    addresses = [f"0x{number:040x}" for number in range(1, 501)]
    neighbours.balances[addresses[499], CHAIN.tokens[0].address] = 7
    found = await HttpBalances(client(neighbours), CHAIN).read(addresses)
    assert len(found) == 500
    assert found[addresses[499]][NATIVE] == 7
    assert found[addresses[0]][NATIVE] == 0
    assert neighbours.requests == 2


async def test_a_service_that_failed_is_left_alone_for_a_moment(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.monotonic()]
    monkeypatch.setattr(clients, "time", SimpleNamespace(monotonic=lambda: now[0]))
    balances = HttpBalances(client(neighbours, pause_seconds=0.2), CHAIN)
    neighbours.status = 503
    with pytest.raises(Unavailable):
        await balances.read(["0x" + "1" * 40])
    neighbours.status = 200
    with pytest.raises(Unavailable, match="a moment ago"):
        await balances.read(["0x" + "1" * 40])
    assert neighbours.requests == 1
    now[0] += 0.2
    assert await balances.read(["0x" + "1" * 40])


async def test_an_answer_that_is_none_is_not_believed(neighbours: Neighbours) -> None:
    neighbours.status = 422
    with pytest.raises(Unavailable):
        await HttpBalances(client(neighbours), CHAIN).read(["0x" + "1" * 40])
    question = TransactionQuestion(SequentialIds().new(), "cancel")
    neighbours.transactions["cancel", None] = [{"chain_id": "none"}]
    neighbours.status = 200
    assert await HttpTransactions(client(neighbours)).build([question, question]) == {}
    assert len(neighbours.asked) == 1
