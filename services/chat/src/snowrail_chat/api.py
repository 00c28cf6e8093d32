"""HTTP: post a line, read the conversation, complete a line, list the commands."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from snowrail_chat.domain.cards import Card
from snowrail_chat.domain.payment_requests import pay_line, wallet_uri
from snowrail_chat.domain.quotes import token_of
from snowrail_chat.domain.registry import COMMANDS, MESSAGE_LIMIT
from snowrail_chat.domain.specs import CommandSpec, RateLimit
from snowrail_chat.parts import Parts
from snowrail_chat.request_pages import request_page
from snowrail_chat.store import messages, payment_requests
from snowrail_chat.usecases import lines, preparation
from snowrail_chat.usecases.batch import Posted
from snowrail_chat.usecases.suggestions import suggest
from snowrail_kit.auth import CurrentIdentity, Identity
from snowrail_kit.idempotency import IdempotentOperation
from snowrail_kit.ids import derived_id
from snowrail_kit.money import format_amount
from snowrail_kit.pagination import Cursor, Page, PageQuery
from snowrail_kit.problems import Problem
from snowrail_kit.service import parts_of
from snowrail_kit.unit_of_work import Transaction

router = APIRouter()

MAX_LINE_CHARACTERS = 2_000
ServiceParts = Annotated[Parts, Depends(parts_of)]


class NewLine(BaseModel):
    """A line to run."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=MAX_LINE_CHARACTERS)]


class LineAnswer(BaseModel):
    """What became of a line.

    `pending` is true while another service prepares the answer, which then comes over the feed and stands in
    `GET /messages`.
    """

    message_id: UUID
    pending: bool
    card: dict[str, Any] | None
    text: str | None


class Message(BaseModel):
    """A line or an answer of the conversation."""

    message_id: UUID
    author: Literal["user", "snowrail"]
    in_reply_to: UUID | None
    command: str | None
    text: str
    card: dict[str, Any] | None
    posted_at: datetime
    changed_at: datetime


class Suggestion(BaseModel):
    """Something to choose: `insert` replaces the line from `start`."""

    insert: str
    detail: str


class Suggestions(BaseModel):
    """What can stand at the end of the line, and the usage of the command once it is known."""

    start: int
    usage: str | None
    items: list[Suggestion]


class Limit(BaseModel):
    """At most `count` per `seconds`."""

    count: int
    seconds: int


class ArgumentDescription(BaseModel):
    """One position of a command."""

    name: str
    kind: str
    required: bool
    help: str


class ClauseDescription(BaseModel):
    """Words at the end of a command that begin with a keyword."""

    name: str
    kind: str
    keywords: list[str]
    required: bool
    help: str


class OptionDescription(BaseModel):
    """A flag of a command, with the values it takes."""

    name: str
    values: list[str]
    help: str


class CommandDescription(BaseModel):
    """A command of the registry."""

    name: str
    aliases: list[str]
    usage: str
    summary: str
    details: str
    arguments: list[ArgumentDescription]
    clauses: list[ClauseDescription]
    options: list[OptionDescription]
    roles: list[str]
    limit: Limit | None
    examples: list[str]


class CommandList(BaseModel):
    """All commands, and the limit on messages of any kind."""

    commands: list[CommandDescription]
    message_limit: Limit


class RequestedPayment(BaseModel):
    """A payment that somebody asks for; `line` is the command that prepares it."""

    code: str
    handle: str
    address: str
    token: str
    symbol: str
    amount: str
    memo: str
    expires_at: datetime
    line: str
    wallet_uri: str


@router.post("/messages", status_code=201, response_model=LineAnswer, tags=["conversation"])
async def post_line(
    body: NewLine,
    identity: CurrentIdentity,
    operation: IdempotentOperation,
    parts: ServiceParts,
    idempotency_key: Annotated[str, Header()],
) -> Response:
    """Run a line, as if it had been typed on the socket with the Idempotency-Key as its id."""
    message_id = derived_id("message", identity.user_id, idempotency_key)
    posted = _posted(message_id, body.text, identity, parts)
    prepared = await preparation.prepare([posted], parts)

    async def work(tx: Transaction) -> LineAnswer:
        answers = await lines.answer([posted], prepared, tx, parts)
        if message_id not in answers:
            card = await messages.reply_to(tx, message_id)
            return LineAnswer(message_id=message_id, pending=card is None, card=card, text=None)
        return _answered(message_id, answers[message_id])

    return await operation.run(201, work)


@router.get("/messages", tags=["conversation"])
async def read_messages(identity: CurrentIdentity, page: PageQuery, parts: ServiceParts) -> Page[Message]:
    """Read the conversation, newest first."""
    rows = await messages.history(parts.database, identity.user_id, page.limit, page.after)
    items = [Message(**row) for row in rows[: page.limit]]
    last = items[-1] if len(rows) > page.limit else None
    return Page(items=items, next=Cursor(last.posted_at, last.message_id).encode() if last else None)


@router.get("/autocomplete", tags=["commands"])
async def complete(
    identity: CurrentIdentity,
    parts: ServiceParts,
    text: Annotated[str, Query(max_length=MAX_LINE_CHARACTERS)] = "",
) -> Suggestions:
    """Say what can stand at the end of a line that is being typed."""
    place, found = await suggest(text.replace("\0", ""), identity.user_id, identity.roles, parts)
    return Suggestions(
        start=place.start,
        usage=place.usage,
        items=[Suggestion(insert=item.insert, detail=item.detail) for item in found],
    )


@router.get("/commands", tags=["commands"])
async def list_commands() -> CommandList:
    """List the commands of the registry."""
    return CommandList(commands=[_describe(spec) for spec in COMMANDS], message_limit=_limit(MESSAGE_LIMIT))


@router.get("/requests/{code}", tags=["requests"], response_model=RequestedPayment)
async def read_request(code: str, parts: ServiceParts, accept: Annotated[str, Header()] = "") -> Response:
    """Show a payment that somebody asks for, to whoever has its link: JSON, or a page for browsers."""
    request = (await payment_requests.by_code(parts.database, [code])).get(code)
    token = None if request is None else token_of(parts.chains, request.token)
    if request is None or token is None:
        raise Problem(404, "request_unknown", "There is no such payment request. Ask for a new link.")
    if request.expires_at <= parts.clock.now():
        raise Problem(410, "request_expired", "This payment request has expired. Ask for a new link.")
    line = pay_line(request, token)
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if "text/html" in accept:
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        page = request_page(request, token, line)
        return HTMLResponse(page, headers={**headers, "Content-Security-Policy": policy})
    answer = RequestedPayment(
        code=request.code,
        handle=request.handle,
        address=request.address,
        token=request.token,
        symbol=token.symbol,
        amount=format_amount(request.amount, token.decimals),
        memo=request.memo,
        expires_at=request.expires_at,
        line=line,
        wallet_uri=wallet_uri(request, token),
    )
    return Response(answer.model_dump_json(), media_type="application/json", headers=headers)


def _posted(message_id: UUID, text: str, identity: Identity, parts: Parts) -> Posted:
    return Posted(
        message_id=message_id,
        user_id=identity.user_id,
        handle=identity.handle,
        address=identity.address,
        roles=identity.roles,
        text=text,
        posted_at=parts.clock.now(),
    )


def _answered(message_id: UUID, card: Card | None) -> LineAnswer:
    if card is None:
        return LineAnswer(message_id=message_id, pending=True, card=None, text=None)
    if card.retry_after_seconds is not None:
        # refused as a whole: nothing of it is stored, so that the same key may be used again
        headers = {"Retry-After": str(card.retry_after_seconds)}
        detail = f"{card.title} Try again in {card.retry_after_seconds} s."
        raise Problem(429, "rate_limited", detail, headers=headers)
    return LineAnswer(message_id=message_id, pending=False, card=card.wire, text=card.text)


def _describe(spec: CommandSpec) -> CommandDescription:
    return CommandDescription(
        name=spec.name,
        aliases=list(spec.aliases),
        usage=spec.usage,
        summary=spec.summary,
        details=spec.details,
        arguments=[
            ArgumentDescription(
                name=argument.name, kind=argument.kind, required=argument.required, help=argument.description
            )
            for argument in spec.arguments
        ],
        clauses=[
            ClauseDescription(
                name=clause.name,
                kind=clause.kind,
                keywords=list(clause.begins_with),
                required=clause.required,
                help=clause.description,
            )
            for clause in spec.clauses
        ],
        options=[
            OptionDescription(name=option.name, values=list(option.values), help=option.help)
            for option in spec.options
        ],
        roles=sorted(spec.roles),
        limit=None if spec.limit is None else _limit(spec.limit),
        examples=list(spec.examples),
    )


def _limit(limit: RateLimit) -> Limit:
    return Limit(count=limit.count, seconds=limit.seconds)
