"""The provider's client against answers that the emulator does not give."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime

import httpx
import pytest

from snowrail_rates import clients
from snowrail_rates.clients import CoinGecko, LeaveAlone, ProviderFailed
from snowrail_testkit import FakeClock

IDS = {"CRO": "crypto-com-chain", "USDC": "usd-coin"}
NOW_SECONDS = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())
GOOD = (
    f'{{"crypto-com-chain": {{"usd": 0.0921, "last_updated_at": {NOW_SECONDS}}},'
    f' "usd-coin": {{"usd": 1, "last_updated_at": {NOW_SECONDS}}}}}'
)


class Answers:
    """Answers in turn, the last one for ever, and counts the questions."""

    def __init__(self, *answers: Callable[[], httpx.Response]) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])()


def good() -> httpx.Response:
    return httpx.Response(200, text=GOOD)


def refused(retry_after: str | None) -> Callable[[], httpx.Response]:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return lambda: httpx.Response(429, headers=headers)


def client(answers: Answers, clock: FakeClock, key: str | None = None) -> CoinGecko:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answers))
    return CoinGecko(http, "https://provider.example/", key, IDS, ("USD",), clock)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client paused; it does not really."""
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    return paused


async def test_one_request_asks_for_everything(clock: FakeClock) -> None:
    answers = Answers(good)
    quotes = await client(answers, clock, "secret").quotes()
    assert [(quote.symbol, quote.price) for quote in quotes] == [
        ("CRO", Decimal("0.0921")),
        ("USDC", Decimal(1)),
    ]
    assert {quote.updated_at for quote in quotes} == {datetime(2026, 1, 1, 12, tzinfo=UTC)}
    (request,) = answers.asked
    assert request.url.path == "/api/v3/simple/price"
    assert request.url.params["ids"] == "crypto-com-chain,usd-coin"
    assert request.headers["x-cg-demo-api-key"] == "secret"


async def test_a_short_wish_to_be_left_alone_is_waited_for(clock: FakeClock, pauses: list[float]) -> None:
    soon = format_datetime(clock.now().replace(second=7), usegmt=True)
    for wish, pause in (("2", 2.0), (None, 0.5), ("soon", 0.5), (soon, 7.0)):
        pauses.clear()
        assert len(await client(Answers(refused(wish), good), clock).quotes()) == 2
        assert pauses == [pause]


async def test_a_long_wish_to_be_left_alone_is_respected(clock: FakeClock, pauses: list[float]) -> None:
    later = format_datetime(clock.now().replace(minute=2), usegmt=True)
    for wish, seconds in (("120", 120), (later, 120), ("86400", 600)):
        answers = Answers(refused(wish), good)
        provider = client(answers, clock)
        with pytest.raises(LeaveAlone):
            await provider.quotes()
        clock.advance(seconds - 1)
        with pytest.raises(ProviderFailed, match="left alone"):
            await provider.quotes()
        assert (len(answers.asked), pauses) == (1, [])
        clock.advance(1)
        assert len(await provider.quotes()) == 2
        clock.set(datetime(2026, 1, 1, 12, tzinfo=UTC))


async def test_a_request_that_is_wrong_is_not_repeated(clock: FakeClock, pauses: list[float]) -> None:
    answers = Answers(lambda: httpx.Response(404))
    with pytest.raises(ProviderFailed, match="HTTP 404"):
        await client(answers, clock).quotes()
    assert (len(answers.asked), pauses) == (1, [])


async def test_attempts_are_bounded(clock: FakeClock, pauses: list[float]) -> None:
    answers = Answers(lambda: httpx.Response(503))
    with pytest.raises(ProviderFailed, match="HTTP 503"):
        await client(answers, clock).quotes()
    assert (len(answers.asked), pauses) == (3, [0.5, 1.0])


async def test_an_answer_that_trickles_in_is_given_up(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b" "

    monkeypatch.setattr(clients, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(clients, "FIRST_PAUSE_SECONDS", 0.001)
    answers = Answers(lambda: httpx.Response(200, content=trickle()))
    with pytest.raises(ProviderFailed, match="not reached"):
        await asyncio.wait_for(client(answers, clock).quotes(), 30)
    assert len(answers.asked) == 3


async def test_an_answer_that_is_too_long_is_not_read(clock: FakeClock) -> None:
    answers = Answers(lambda: httpx.Response(200, content=b" " * 1_000_001))
    with pytest.raises(ProviderFailed, match="more than"):
        await client(answers, clock).quotes()


@pytest.mark.parametrize("price", ['"0.5"', "true", "[1]", "{}", '"<script>"'])
async def test_what_is_no_number_spoils_no_other_price(clock: FakeClock, price: str) -> None:
    text = GOOD.replace("0.0921", price)
    odd, other = await client(Answers(lambda: httpx.Response(200, text=text)), clock).quotes()
    assert (odd.symbol, odd.price.is_nan(), other.price) == ("CRO", True, Decimal(1))


@pytest.mark.parametrize("moment", ["null", '"today"', "1e300", "[]"])
async def test_what_is_no_moment_is_older_than_everything(clock: FakeClock, moment: str) -> None:
    text = GOOD.replace(str(NOW_SECONDS), moment, 1)
    odd, other = await client(Answers(lambda: httpx.Response(200, text=text)), clock).quotes()
    assert odd.updated_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert other.updated_at == clock.now()


@pytest.mark.parametrize("text", ["", "null", "5", '{"crypto-com-chain": 5}', "<html>", '{"a": NaN}'])
async def test_what_is_no_answer_is_a_failure(clock: FakeClock, text: str) -> None:
    with pytest.raises(ProviderFailed, match="cannot be read"):
        await client(Answers(lambda: httpx.Response(200, text=text)), clock).quotes()
