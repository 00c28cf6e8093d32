"""HTTP routes of chain-monitor: balances, gas prices, how far each chain is followed."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from snowrail_chain.addresses import AddressError, parse_address
from snowrail_chain.config import (
    ChainConfig,
    InvalidTokenId,
    UnknownToken,
    format_token_id,
    parse_token_id,
)
from snowrail_chain_monitor.clients import AllowanceQuery, BalanceQuery
from snowrail_chain_monitor.domain import GasPrice
from snowrail_chain_monitor.gas_prices import GasOutlook
from snowrail_chain_monitor.store import history, positions
from snowrail_chain_monitor.store.positions import Cursor
from snowrail_chain_monitor.usecases.parts import Follower, Parts
from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.consumer import Unavailable
from snowrail_kit.money import format_amount
from snowrail_kit.problems import Problem
from snowrail_kit.service import parts_of

router = APIRouter()
ServiceParts = Annotated[Parts, Depends(parts_of)]

MAX_QUERIES = 500
AddressText = Annotated[str, Field(min_length=42, max_length=42)]
TokenText = Annotated[str, Field(min_length=42, max_length=53)]


class BalanceQuestion(BaseModel):
    """Whose balance of which token: a token id, or the token's EIP-55 address; zero is the native coin."""

    model_config = ConfigDict(extra="forbid")

    address: AddressText
    token: TokenText


class AllowanceQuestion(BaseModel):
    """How much of the owner's token the spender may move."""

    model_config = ConfigDict(extra="forbid")

    owner: AddressText
    token: TokenText
    spender: AddressText


class BalancesRequest(BaseModel):
    """Balances and allowances on one chain; a fresh answer uses nothing that was read before."""

    model_config = ConfigDict(extra="forbid")

    chain_id: int = Field(gt=0, lt=2**53)
    fresh: bool = False
    queries: list[BalanceQuestion] = Field(default=[], max_length=MAX_QUERIES)
    allowances: list[AllowanceQuestion] = Field(default=[], max_length=MAX_QUERIES)


class BalancesAnswer(BaseModel):
    """Atoms as decimal strings in the order of the questions; gas price in wei."""

    balances: list[str]
    allowances: list[str]
    gas_price: str
    block_number: int


class TokenBalance(BaseModel):
    """The caller's balance of one token; `amount` in atoms, `display` in whole tokens."""

    chain_id: int
    chain: str
    token: str
    symbol: str
    name: str
    decimals: int
    amount: str
    display: str


class UserBalances(BaseModel):
    """The caller's balances of every configured token; chains whose nodes do not answer are named."""

    address: str
    balances: list[TokenBalance]
    unavailable_chains: list[int]


class GasPriceView(BaseModel):
    """Gas price in wei per gas."""

    block_number: int
    gas_price: str
    base_fee: str
    observed_at: datetime


class ChainGas(BaseModel):
    """Gas prices of a chain, newest first."""

    chain_id: int
    name: str
    prices: list[GasPriceView]


class GasPeriod(BaseModel):
    """Consecutive blocks, summed up; wei per gas."""

    first_block: int
    last_block: int
    begins_at: datetime
    ends_at: datetime
    low: str
    median: str
    high: str


class GasForecast(BaseModel):
    """What gas is likely to cost next, in wei per gas, from the last `blocks` blocks.

    `expected` is an exponentially weighted mean (each new block counts 1/16); `low`, `median` and `high` are
    the 10th, 50th and 90th percentile; `next_least` and `next_most` bound the next block's base fee
    (EIP-1559).
    """

    blocks: int
    expected: str
    low: str
    median: str
    high: str
    next_least: str | None
    next_most: str | None


class ChainGasOutlook(BaseModel):
    """History, oldest first, and forecast; of base fees, or where a chain has none, of suggested prices."""

    chain_id: int
    name: str
    source: Literal["base_fee", "gas_price"]
    latest: GasPriceView | None
    history: list[GasPeriod]
    forecast: GasForecast | None
    made_at: datetime


class ChainStatus(BaseModel):
    """How far a chain is followed.

    `head` is the newest block a node named, `tip` the newest one stored, `final` the height up to which
    everything was told as final, `seconds_behind` the age of the tip while there are newer blocks.
    `second_opinion` says whether finality rests on nodes that were compared or on a single configured one;
    `held_reason` why nothing above `held_block` becomes final.
    """

    chain_id: int
    name: str
    head: int | None
    tip: int | None
    tip_time: datetime | None
    final: int | None
    blocks_behind: int | None
    seconds_behind: float | None
    checked_at: datetime | None
    frozen_reason: str | None
    frozen_at: datetime | None
    endpoints: int
    endpoints_answering: int
    second_opinion: Literal["compared", "single_endpoint"]
    held_reason: str | None
    held_block: int | None
    held_at: datetime | None


@router.post("/internal/balances", summary="Balances and allowances, for other services")
async def read_balances(request: BalancesRequest, parts: ServiceParts) -> BalancesAnswer:
    """Read balances and allowances in the latest block, at most a few seconds old."""
    chain = _chain(parts, request.chain_id)
    funds = await parts.balances.read(
        chain.chain_id,
        [BalanceQuery(_address(item.address), _token(chain, item.token)) for item in request.queries],
        [
            AllowanceQuery(_address(item.owner), _token(chain, item.token), _address(item.spender))
            for item in request.allowances
        ],
        request.fresh,
    )
    return BalancesAnswer(
        balances=[str(atoms) for atoms in funds.balances],
        allowances=[str(atoms) for atoms in funds.allowances],
        gas_price=str(funds.gas_price),
        block_number=funds.block_number,
    )


@router.get("/user/balance", summary="The caller's balances of every configured token")
async def user_balance(identity: CurrentIdentity, parts: ServiceParts) -> UserBalances:
    """Read the balances of the wallet that signed in, on every chain."""
    found: list[TokenBalance] = []
    unavailable: list[int] = []
    for chain_id, follower in sorted(parts.followers.items()):
        chain = follower.config
        queries = [BalanceQuery(identity.address, token.address) for token in chain.tokens]
        try:
            funds = await parts.balances.read(chain_id, queries, [])
        except Unavailable:
            unavailable.append(chain_id)
            continue
        found += [
            TokenBalance(
                chain_id=chain_id,
                chain=chain.name,
                token=format_token_id(chain_id, token.address),
                symbol=token.symbol,
                name=token.name,
                decimals=token.decimals,
                amount=str(atoms),
                display=format_amount(atoms, token.decimals),
            )
            for token, atoms in zip(chain.tokens, funds.balances, strict=True)
        ]
    if unavailable and not found:
        raise Unavailable("no chain's nodes answer")
    return UserBalances(address=identity.address, balances=found, unavailable_chains=unavailable)


@router.get("/gas", summary="Gas prices of every chain")
async def gas(
    parts: ServiceParts,
    chain_id: Annotated[int | None, Query(gt=0, lt=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 20,
) -> list[ChainGas]:
    """Return the latest gas prices, newest first."""
    chains = [follower.config for follower in parts.followers.values()]
    if chain_id is not None:
        chains = [_chain(parts, chain_id)]
    return [
        ChainGas(
            chain_id=chain.chain_id,
            name=chain.name,
            prices=[
                _price_view(price)
                for price in await history.gas_prices(parts.database, chain.chain_id, limit)
            ],
        )
        for chain in chains
    ]


@router.get("/gas-prices", summary="History and forecast of gas prices")
async def gas_outlook(
    parts: ServiceParts, response: Response, chain_id: Annotated[int | None, Query(gt=0, lt=2**53)] = None
) -> list[ChainGasOutlook]:
    """Return the history of recent blocks and a forecast, at most half a minute old unless set otherwise."""
    chains = [follower.config for follower in parts.followers.values()]
    if chain_id is not None:
        chains = [_chain(parts, chain_id)]
    keep_seconds = int(parts.settings.gas_outlook_cache_seconds)
    response.headers["Cache-Control"] = f"public, max-age={keep_seconds}"
    return [_outlook_view(chain, await parts.gas_prices.outlook(chain.chain_id)) for chain in chains]


def _outlook_view(chain: ChainConfig, outlook: GasOutlook) -> ChainGasOutlook:
    coming = outlook.forecast
    return ChainGasOutlook(
        chain_id=chain.chain_id,
        name=chain.name,
        source="base_fee" if outlook.has_base_fee else "gas_price",
        latest=_price_view(outlook.latest) if outlook.latest else None,
        history=[
            GasPeriod(
                first_block=period.first_block,
                last_block=period.last_block,
                begins_at=period.begins_at,
                ends_at=period.ends_at,
                low=str(period.low),
                median=str(period.median),
                high=str(period.high),
            )
            for period in outlook.history
        ],
        forecast=GasForecast(
            blocks=coming.blocks,
            expected=str(coming.expected),
            low=str(coming.low),
            median=str(coming.median),
            high=str(coming.high),
            next_least=None if coming.next_least is None else str(coming.next_least),
            next_most=None if coming.next_most is None else str(coming.next_most),
        )
        if coming
        else None,
        made_at=outlook.made_at,
    )


def _price_view(price: GasPrice) -> GasPriceView:
    return GasPriceView(
        block_number=price.block_number,
        gas_price=str(price.gas_price),
        base_fee=str(price.base_fee),
        observed_at=price.observed_at,
    )


@router.get("/status", summary="How far each chain is followed")
async def status(parts: ServiceParts) -> list[ChainStatus]:
    """Return the position on each configured chain, and why a chain is frozen or finality is held."""
    cursors = {cursor.chain_id: cursor for cursor in await positions.cursors(parts.database)}
    nothing = Cursor(0, None, None, -1, -1, 0, None)
    return [
        _status(parts, follower, cursors.get(chain_id, nothing))
        for chain_id, follower in sorted(parts.followers.items())
    ]


def _status(parts: Parts, follower: Follower, cursor: Cursor) -> ChainStatus:
    tip = cursor.tip.number if cursor.tip else None
    head = cursor.head_number if cursor.head_number >= 0 else None
    behind = max(head - tip, 0) if head is not None and tip is not None else None
    seconds = None
    if behind is not None and cursor.tip_time is not None:
        seconds = max((parts.clock.now() - cursor.tip_time).total_seconds(), 0.0) if behind else 0.0
    endpoints = follower.reader.endpoints
    return ChainStatus(
        chain_id=follower.config.chain_id,
        name=follower.config.name,
        head=head,
        tip=tip,
        tip_time=cursor.tip_time,
        final=cursor.final_number if cursor.final_number >= 0 else None,
        blocks_behind=behind,
        seconds_behind=seconds,
        checked_at=cursor.checked_at,
        frozen_reason=cursor.frozen_reason,
        frozen_at=cursor.frozen_at,
        endpoints=endpoints,
        endpoints_answering=cursor.endpoints_answering,
        second_opinion="single_endpoint" if endpoints == 1 else "compared",
        held_reason=cursor.held_reason,
        held_block=cursor.held_block,
        held_at=cursor.held_at,
    )


def _chain(parts: Parts, chain_id: int) -> ChainConfig:
    follower = parts.followers.get(chain_id)
    if follower is None:
        raise Problem(422, "unknown_chain", f"Chain {chain_id} is not configured.")
    return follower.config


def _address(text: str) -> str:
    try:
        return parse_address(text)
    except AddressError as problem:
        raise Problem(422, problem.code, str(problem)) from problem


def _token(chain: ChainConfig, text: str) -> str:
    address = text
    if ":" in text:
        try:
            token = parse_token_id(text)
        except InvalidTokenId as problem:
            raise Problem(422, "unknown_token", str(problem)) from problem
        if token.chain_id != chain.chain_id:
            raise Problem(422, "unknown_token", f"{text} is not on {chain.name}.")
        address = token.address
    try:
        return chain.token_at(_address(address)).address
    except UnknownToken as problem:
        raise Problem(422, "unknown_token", str(problem)) from problem
