"""Passing requests on to the services behind the public origin, as streams in both directions."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

import aiohttp
import structlog
from starlette.types import Receive, Scope, Send
from yarl import URL

from snowrail_gateway.edge import encode_path
from snowrail_gateway.metrics import PROXIED
from snowrail_kit.problems import Problem
from snowrail_kit.telemetry import current_traceparent

_CHUNK_BYTES = 65_536
_MAX_CONNECTIONS = 256
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_SET_BY_EDGE = frozenset(
    (
        b"host",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"traceparent",
    )
)
_SET_BY_SERVER = frozenset((b"date", b"server"))

log = structlog.get_logger("proxy")

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class _RequestBody:
    """The client's body, read as the service takes it. Remembers why it broke off."""

    receive: Receive
    failure: Exception | None = field(default=None)

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the body. Raises what reading it raised."""
        try:
            while True:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionResetError("the client went away")
                if chunk := message.get("body", b""):
                    yield chunk
                if not message.get("more_body", False):
                    return
        except Exception as error:
            self.failure = error
            raise


class Proxy:
    """Forwards requests to services by name.

    Args:
        upstreams: base URL of each service.
    """

    def __init__(
        self, upstreams: Mapping[str, str], connect_timeout_seconds: float, answer_timeout_seconds: float
    ) -> None:
        self._upstreams = {service: url.rstrip("/") for service, url in upstreams.items()}
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout_seconds, sock_read=answer_timeout_seconds
        )
        self._client: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pool of connections."""
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()

    async def forward(self, service: str, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a service answer a request, whose path there is `path`, decoded.

        Raises:
            Problem: 404 for a service that is not here, 502 or 504 when it gives no answer.
        """
        base = self._upstreams.get(service)
        if base is None:
            raise Problem(404, "not_found", "There is no such service here.")
        query = scope["query_string"].decode("latin-1")
        url = URL(f"{base}{encode_path(path)}" + (f"?{query}" if query else ""), encoded=True)
        assert self._client is not None, "the proxy is not open"
        body = _RequestBody(receive)
        try:
            async with self._client.request(
                scope["method"],
                url,
                headers=_request_headers(scope),
                data=body.chunks() if _has_body(scope) else None,
                allow_redirects=False,
            ) as answer:
                await _pass_back(answer, send)
            PROXIED.labels(service, "answered").inc()
        except TimeoutError as error:
            self._failed(service, "timeout", error)
            raise Problem(504, "gateway_timeout", f"The service {service} did not answer in time.") from error
        except (aiohttp.ClientError, OSError) as error:
            if body.failure is not None:
                raise body.failure from error
            self._failed(service, "unreachable", error)
            raise Problem(
                502, "bad_gateway", f"The service {service} cannot be reached.", headers={"Retry-After": "2"}
            ) from error

    def _failed(self, service: str, outcome: str, error: Exception) -> None:
        PROXIED.labels(service, outcome).inc()
        log.warning("not answered", upstream=service, error=str(error) or type(error).__name__)


async def _pass_back(answer: aiohttp.ClientResponse, send: Send) -> None:
    """Send an answer to the client. One that breaks off stays incomplete, which the client notices."""
    named = b",".join(value for name, value in answer.raw_headers if name.lower() == b"connection")
    dropped = _HOP_BY_HOP | _SET_BY_SERVER | _tokens(named)
    headers = [(name.lower(), value) for name, value in answer.raw_headers if name.lower() not in dropped]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    try:
        async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("answer broke off", error=str(error) or type(error).__name__)
        return
    await send({"type": "http.response.body", "body": b""})


def _request_headers(scope: Scope) -> list[tuple[str, str]]:
    given: Headers = scope["headers"]
    named = b",".join(value for name, value in given if name == b"connection")
    dropped = _HOP_BY_HOP | _SET_BY_EDGE | _tokens(named)
    headers = [(name.decode(), value.decode("latin-1")) for name, value in given if name not in dropped]
    host = next((value for name, value in given if name == b"host"), b"")
    headers.append(("x-forwarded-for", scope["client"][0] if scope["client"] else "unknown"))
    headers.append(("x-forwarded-host", host.decode("latin-1")))
    headers.append(("x-forwarded-proto", scope["scheme"]))
    traceparent = current_traceparent()
    if traceparent is not None:
        headers.append(("traceparent", traceparent))
    return headers


def _tokens(connection: bytes) -> frozenset[bytes]:
    """Return the headers that a Connection header names as being for this hop alone."""
    return frozenset(token.strip().lower() for token in connection.split(b",") if token.strip())


def _has_body(scope: Scope) -> bool:
    headers: Headers = scope["headers"]
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )
