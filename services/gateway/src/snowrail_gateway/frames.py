"""What travels in a WebSocket: JSON text frames, each with a `type`."""

from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from snowrail_gateway.positions import Position
from snowrail_gateway.recent import Entry
from snowrail_kit.auth import Identity

MAX_MESSAGE_ID_CHARACTERS = 64


class _ClientFrame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Authenticate(_ClientFrame):
    """Says who the client is, and from which position on it wants its feed."""

    type: Literal["auth"]
    token: Annotated[str, Field(max_length=8_192)]
    position: Annotated[str | None, Field(max_length=64)] = None


class PostMessage(_ClientFrame):
    """A line that the user typed. A repeated `id` is the same message."""

    type: Literal["chat:message"]
    id: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
    text: Annotated[str, Field(min_length=1, max_length=2_000)]


class MarkRead(_ClientFrame):
    """The user has seen these notifications; all of them when none is named."""

    type: Literal["notification:read"]
    ids: Annotated[tuple[UUID, ...], Field(max_length=500)] = ()


class Ping(_ClientFrame):
    """Asks for a sign of life, and for a position that is up to date."""

    type: Literal["ping"]


ClientFrame = Authenticate | PostMessage | MarkRead | Ping

_CLIENT_FRAME: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="type")])


class BadFrame(ValueError):
    """A frame that is not one of the client's frames; the message says why."""


class MalformedEvent(ValueError):
    """A message of the feed stream that is no feed event."""


def parse_frame(text: str) -> ClientFrame:
    """Return what a client sent. Raises BadFrame."""
    try:
        return _CLIENT_FRAME.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        raise BadFrame(f"{where}: {first['msg']}" if where else first["msg"]) from error


def encode_event(incarnation: str, entry: Entry) -> str:
    """Return a feed event as the frame that a client receives. Raises MalformedEvent."""
    try:
        event = orjson.loads(entry.payload)
        frame = {
            "type": event["name"],
            "id": event["event_id"],
            "position": f"{incarnation}:{entry.sequence}",
            "at": event["occurred_at"],
            "data": event["data"],
        }
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedEvent(f"message {entry.sequence} is no feed event") from error
    return orjson.dumps(frame).decode()


def encode(kind: str, **members: Any) -> str:
    """Return a frame of the gateway itself."""
    return orjson.dumps({"type": kind, **members}).decode()


def encode_authenticated(identity: Identity, position: Position) -> str:
    """Return the answer to a good token: who it is for, and the position that the feed goes on from."""
    return encode(
        "auth:success",
        user={
            "id": identity.user_id,
            "handle": identity.handle,
            "address": identity.address,
            "roles": sorted(identity.roles),
        },
        expires_at=identity.expires_at,
        position=str(position),
    )
