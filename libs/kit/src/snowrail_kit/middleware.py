"""ASGI middleware of every service: bounded bodies, security headers, CORS for the public origin, metrics."""

import time
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from opentelemetry import trace
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from snowrail_kit.problems import Problem
from snowrail_kit.settings import ServiceSettings
from snowrail_kit.telemetry import HTTP_SECONDS, context_of, tracer

_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
]
_API_CONTENT_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_UNMEASURED = {"/health/live", "/health/ready", "/metrics"}


class ChassisMiddleware:
    """Bounds the body, sets security headers, records a span and the time to answer."""

    def __init__(self, app: ASGIApp, body_limit_bytes: int, documentation_paths: tuple[str, ...]) -> None:
        self._app = app
        self._body_limit_bytes = body_limit_bytes
        self._documentation_paths = documentation_paths
        self._too_large = f"The body may have at most {body_limit_bytes} bytes."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = str(scope["path"]), str(scope["method"])
        headers = dict(scope["headers"])
        status = 500
        started = time.monotonic()

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(message, path)
            await send(message)

        span = tracer.start_span(
            f"{method} http",
            context=context_of(headers.get(b"traceparent", b"").decode("latin-1") or None),
            kind=trace.SpanKind.SERVER,
        )
        with trace.use_span(span, end_on_exit=True):
            try:
                length = headers.get(b"content-length", b"0")
                if length.isdigit() and int(length) > self._body_limit_bytes:
                    refusal = Problem(413, "body_too_large", self._too_large)
                    await refusal.response()(scope, receive, watched_send)
                else:
                    await self._app(scope, self._bounded(receive), watched_send)
            finally:
                route = getattr(scope.get("route"), "path", "unmatched")
                span.update_name(f"{method} {route}")
                if path not in _UNMEASURED:
                    HTTP_SECONDS.labels(method, route, str(status)).observe(time.monotonic() - started)

    def _bounded(self, receive: Receive) -> Receive:
        """Count what is received. HTTPException is the one error that FastAPI's body parsing lets through."""
        received_bytes = 0

        async def bounded() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self._body_limit_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return bounded

    def _add_headers(self, message: Message, path: str) -> None:
        extra = [*_SECURITY_HEADERS]
        if not path.startswith(self._documentation_paths):
            extra.append(_API_CONTENT_POLICY)
        present = {name for name, _ in message["headers"]}
        added = [(name, value) for name, value in extra if name not in present]
        message["headers"] = [*message["headers"], *added]


def install_middleware(app: FastAPI, settings: ServiceSettings) -> None:
    """Add the chassis's middleware and CORS for the public origin to an application."""
    origin = urlsplit(settings.public_origin)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[f"{origin.scheme}://{origin.netloc}"],
        allow_credentials=False,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "traceparent"],
        max_age=600,
    )
    app.add_middleware(
        ChassisMiddleware,
        body_limit_bytes=settings.http_body_limit_bytes,
        documentation_paths=("/docs", "/openapi.json"),
    )
