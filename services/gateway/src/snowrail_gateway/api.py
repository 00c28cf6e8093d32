"""Routes of the gateway: the WebSocket, the feed by long polling, the landing page, all that is proxied."""

from html import escape
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from snowrail_gateway.edge import SERVICES, BadPath, public_path, resolve
from snowrail_gateway.history import HistoryUnavailable
from snowrail_gateway.metrics import REFUSALS
from snowrail_gateway.parts import Parts
from snowrail_gateway.polling import MAX_WAIT_SECONDS, Poll
from snowrail_gateway.registry import TooMany
from snowrail_gateway.request_limits import address_of
from snowrail_gateway.sessions import Session
from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.problems import Problem
from snowrail_kit.service import parts_of

router = APIRouter()

_REFUSED = {
    "draining": "This gateway is going down; connect again.",
    "too_many_connections": "There are too many connections; try again later.",
    "too_many_unauthenticated": "Too many of your connections have not sent an access token yet.",
}


class FeedEvent(BaseModel):
    """One event of the caller's feed, as on the WebSocket."""

    type: str
    id: str
    position: str
    at: str
    data: dict[str, Any]


class FeedAnswer(BaseModel):
    """What follows a position. After `resync` the client reloads over HTTP and goes on from `position`."""

    position: str
    resync: bool
    events: list[FeedEvent]


def limited(request: Request, parts: Annotated[Parts, Depends(parts_of)]) -> None:
    """FastAPI dependency: counts the request. Raises a 429 problem when there were too many."""
    parts.limits.admit(request.scope)


@router.get("/", include_in_schema=False, dependencies=[Depends(limited)])
async def landing_page() -> HTMLResponse:
    """Say what this is and where the documents of its interfaces are."""
    links = "".join(
        f'<li><a href="/api/{escape(name)}/openapi.json">{escape(name)}</a></li>' for name in SERVICES
    )
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Snowrail</title><h1>Snowrail</h1>'
        "<p>Chat-first payments. The live connection is at <code>/ws</code>, the same feed by long polling "
        'at <code>/feed</code> (<a href="/openapi.json">OpenAPI</a>).</p>'
        f"<p>OpenAPI documents of the services:</p><ul>{links}</ul></html>"
    )


@router.get("/feed", response_model=FeedAnswer, dependencies=[Depends(limited)])
@router.get("/api/feed", response_model=FeedAnswer, dependencies=[Depends(limited)], include_in_schema=False)
async def read_feed(
    request: Request,
    identity: CurrentIdentity,
    parts: Annotated[Parts, Depends(parts_of)],
    position: Annotated[str | None, Query(max_length=64)] = None,
    wait_seconds: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS)] = 25.0,
) -> Response:
    """Return the caller's events after a position, waiting for the first. Without one, start at the end."""
    if not parts.hall.feed.started:
        raise Problem(503, "unavailable", "The feed is not there yet.", headers={"Retry-After": "1"})
    user_id = str(identity.user_id)
    address = address_of(request.scope)
    poll = Poll(parts.hall, user_id)
    identified: str | None = None
    try:
        parts.hall.registry.add(poll, address)
        try:
            parts.hall.registry.identify(address, user_id)
            identified = user_id
            answer = await poll.answer(position, wait_seconds)
            parts.limits.refuse_ended(identity)
        finally:
            parts.hall.registry.remove(poll, address, identified)
    except TooMany as error:
        raise refusal(error) from error
    except HistoryUnavailable as error:
        detail = "What you missed cannot be read now; try again."
        raise Problem(503, "unavailable", detail, headers={"Retry-After": "2"}) from error
    return Response(answer, media_type="application/json", headers={"Cache-Control": "no-store"})


class WebSocketEntrance:
    """ASGI application of `/ws`: admits or refuses a handshake, then runs the session."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        parts: Parts = scope["app"].state.parts
        await receive()
        session = Session(parts.hall, address_of(scope), receive, send)
        try:
            parts.limits.admit_handshake(scope)
            _check_handshake(scope, parts)
            parts.hall.registry.add(session, address_of(scope))
        except (Problem, TooMany) as error:
            problem = refusal(error) if isinstance(error, TooMany) else error
            REFUSALS.labels(problem.code).inc()
            await problem.response()(scope, receive, send)
            return
        await session.run()


class Edge:
    """ASGI application of every other path: counts the request and passes it on to its service."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        parts: Parts = scope["app"].state.parts
        parts.limits.admit(scope)
        try:
            target = resolve(public_path(scope["raw_path"].partition(b"?")[0]))
        except BadPath as error:
            raise Problem(400, "bad_path", f"{error}."[0].upper() + f"{error}."[1:]) from error
        if target is None or target[0] == "gateway":
            raise Problem(404, "not_found", "There is nothing here.")
        await parts.proxy.forward(*target, scope, receive, send)


def refusal(error: TooMany) -> Problem:
    """Return the problem that says which bound on connections was reached."""
    return Problem(503, error.reason, _REFUSED[error.reason], headers={"Retry-After": "2"})


def _check_handshake(scope: Scope, parts: Parts) -> None:
    origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    public = urlsplit(parts.hall.settings.public_origin)
    if any(origin != f"{public.scheme}://{public.netloc}" for origin in origins):
        raise Problem(403, "origin_denied", "Pages of other origins may not connect.")
    if not parts.hall.feed.started or not parts.hall.revocations.loaded:
        raise Problem(503, "unavailable", "The feed is not there yet.", headers={"Retry-After": "1"})


router.routes.append(WebSocketRoute("/ws", WebSocketEntrance()))
everything_else = APIRouter(routes=[Route("/{path:path}", Edge(), include_in_schema=False)])
