"""The question to chain-monitor: bounded requests, strict answers, and nothing known when it fails."""

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from snowrail_chain.addresses import checksum_address
from snowrail_intent.clients import MAX_QUERIES, ChainQuestion, HttpChainMonitor, Wallet, read_chains
from snowrail_kit.consumer import Unavailable

from .samples import CHAIN, CRO, PAYER, USDC

Answer = Callable[[dict[str, Any]], httpx.Response]


def monitor(answer: Answer) -> HttpChainMonitor:
    """Return a client whose requests are answered by a function of their bodies."""

    def handle(request: httpx.Request) -> httpx.Response:
        return answer(orjson.loads(request.content))

    return HttpChainMonitor(httpx.AsyncClient(transport=httpx.MockTransport(handle)), "http://monitor/")


def well(body: dict[str, Any]) -> httpx.Response:
    """Answer each balance with the last byte of its address."""
    return httpx.Response(
        200,
        json={
            "balances": [str(int(query["address"][-2:], 16)) for query in body["queries"]],
            "allowances": ["7" for _ in body["allowances"]],
            "gas_price": "5",
            "block_number": 9,
        },
    )


def question(*wallets: Wallet, allowances: tuple[Wallet, ...] = ()) -> ChainQuestion:
    return ChainQuestion(31337, CHAIN.escrow, frozenset(wallets), frozenset(allowances))


async def test_answers_belong_to_their_questions() -> None:
    native, token = Wallet(PAYER.address, CRO.address), Wallet(PAYER.address, USDC.address)
    reading = await monitor(well).read(question(native, token, allowances=(token,)))
    last = int(PAYER.address[-2:], 16)
    assert reading.balances == {native: last, token: last}
    assert reading.allowances == {token: 7}
    assert (reading.gas_price, reading.block_number) == (5, 9)


async def test_a_large_question_is_asked_in_parts() -> None:
    asked: list[int] = []

    def count(body: dict[str, Any]) -> httpx.Response:
        asked.append(len(body["queries"]))
        return well(body)

    wallets = [
        Wallet(checksum_address(number.to_bytes(20, "big")), USDC.address)
        for number in range(MAX_QUERIES + 1)
    ]
    reading = await monitor(count).read(question(*wallets, allowances=tuple(wallets)))
    assert asked == [MAX_QUERIES, 1]
    assert len(reading.balances) == len(reading.allowances) == MAX_QUERIES + 1
    assert reading.balances[wallets[300]] == 300 % 256


ONE = {"balances": ["1"], "allowances": [], "gas_price": "1", "block_number": 1}


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(503),
        httpx.Response(200, text="nonsense"),
        httpx.Response(200, json={**ONE, "balances": ["1", "2"]}),
        httpx.Response(200, json={**ONE, "balances": ["-1"]}),
        httpx.Response(200, json={**ONE, "gas_price": 1.5}),
        None,
    ],
)
async def test_what_is_not_an_answer_tells_nothing(response: httpx.Response | None) -> None:
    def answer(_: dict[str, Any]) -> httpx.Response:
        if response is None:
            raise httpx.ConnectError("no route")
        return response

    asked = question(Wallet(PAYER.address, USDC.address))
    with pytest.raises(Unavailable):
        await monitor(answer).read(asked)
    readings = await read_chains(monitor(answer), [asked])
    assert readings.of(31337) is None


async def test_a_chain_that_is_away_keeps_no_other_from_being_read() -> None:
    def only_one(body: dict[str, Any]) -> httpx.Response:
        return well(body) if body["chain_id"] == 31337 else httpx.Response(503)

    asked = question(Wallet(PAYER.address, USDC.address))
    other = ChainQuestion(338, CHAIN.escrow, asked.balances)
    readings = await read_chains(monitor(only_one), [other, asked])
    assert readings.of(338) is None
    assert readings.of(31337) is not None
