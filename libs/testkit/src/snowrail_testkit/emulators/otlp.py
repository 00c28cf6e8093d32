"""A trace collector that takes spans by OTLP over HTTP (protobuf) and lets a test look at them.

It follows the OpenTelemetry protocol 1.x: `POST /v1/traces` takes an `ExportTraceServiceRequest`, gzipped or
not.
"""

import gzip
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

TRACES_PATH = "/v1/traces"
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_SPANS = 200_000
_REQUEST_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.05
_PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """A span as it was exported.

    Attributes:
        service: `service.name` of the process that made it.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: of the span that this one is part of; None for the root of a trace.
        started_at: nanoseconds since 1970.
        links: trace id and span id of spans that it follows from.
    """

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    started_at: int
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    links: tuple[tuple[str, str], ...] = ()


class OtlpCollector:
    """A collector on a free port, served by threads of its own. Use as a context manager."""

    def __init__(self) -> None:
        self._spans: list[CollectedSpan] = []
        self._lock = threading.Lock()
        self._server = _Server(self.add)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """What `SNOWRAIL_OTLP_ENDPOINT` is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, spans: Iterable[CollectedSpan]) -> None:
        """Keep spans; beyond the most that are kept, the oldest go."""
        with self._lock:
            self._spans.extend(spans)
            del self._spans[:-MAX_SPANS]

    def spans(
        self, *, trace_id: str | None = None, service: str | None = None, name: str | None = None
    ) -> list[CollectedSpan]:
        """Return what was exported so far, in order of start, narrowed to a trace, a service or a name."""
        with self._lock:
            collected = list(self._spans)
        return sorted(
            (
                span
                for span in collected
                if trace_id in (None, span.trace_id)
                and service in (None, span.service)
                and name in (None, span.name)
            ),
            key=lambda span: span.started_at,
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, take: Callable[[Iterable[CollectedSpan]], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.take = take


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _REQUEST_TIMEOUT_SECONDS

    def do_POST(self) -> None:
        """Answer an export."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        if self.path != TRACES_PATH:
            self._answer(HTTPStatus.NOT_FOUND)
            return
        if self.headers.get("Content-Type") != _PROTOBUF:
            self._answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
            return
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
        except (DecodeError, EOFError, OSError, zlib.error):
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        cast("_Server", self.server).take(list(_spans_of(request)))
        self._answer(HTTPStatus.OK, ExportTraceServiceResponse().SerializeToString())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing on the terminal of the tests."""

    def _answer(self, status: HTTPStatus, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", _PROTOBUF)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _spans_of(request: ExportTraceServiceRequest) -> Iterator[CollectedSpan]:
    for resource_spans in request.resource_spans:
        resource = {item.key: _value(item.value) for item in resource_spans.resource.attributes}
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield CollectedSpan(
                    service=str(resource.get("service.name", "")),
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex() or None,
                    started_at=span.start_time_unix_nano,
                    attributes={item.key: _value(item.value) for item in span.attributes},
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                )


def _value(value: Any) -> Any:
    """Return an `AnyValue` of scalars; arrays and maps come as their protobuf messages."""
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
