"""ASGI middleware of every service: bounded bodies, security headers, CORS for the public origin, metrics."""

import time
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from opentelemetry import trace
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


class BodyTooLarge(Exception):
    """The request's body is larger than the service accepts."""


class ChassisMiddleware:
    """Bounds the body, sets security headers, records a span and the time to answer."""

    def __init__(self, app: ASGIApp, body_limit_bytes: int, documentation_paths: tuple[str, ...]) -> None:
        self._app = app
        self._body_limit_bytes = body_limit_bytes
        self._documentation_paths = documentation_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"])
        headers = dict(scope["headers"])
        extra = [*_SECURITY_HEADERS]
        if not path.startswith(self._documentation_paths):
            extra.append(_API_CONTENT_POLICY)
        status = 500
        started = time.monotonic()
        received_bytes = 0
        response_started = False

        async def bounded_receive() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self._body_limit_bytes:
                raise BodyTooLarge
            return message

        async def marked_send(message: Message) -> None:
            nonlocal status, response_started
            if message["type"] == "http.response.start":
                status = message["status"]
                response_started = True
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in extra if name not in present),
                ]
            await send(message)

        too_large = Problem(
            413, "body_too_large", f"The body may have at most {self._body_limit_bytes} bytes."
        )
        span = tracer.start_span(
            f"{scope['method']} {path if path in _UNMEASURED else 'http'}",
            context=context_of(headers.get(b"traceparent", b"").decode("latin-1") or None),
            kind=trace.SpanKind.SERVER,
        )
        with trace.use_span(span, end_on_exit=True):
            try:
                length = headers.get(b"content-length", b"0")
                if length.isdigit() and int(length) > self._body_limit_bytes:
                    await too_large.response()(scope, receive, marked_send)
                else:
                    await self._app(scope, bounded_receive, marked_send)
            except BodyTooLarge:
                if not response_started:
                    await too_large.response()(scope, receive, marked_send)
            finally:
                route = getattr(scope.get("route"), "path", "unmatched")
                span.update_name(f"{scope['method']} {route}")
                if path not in _UNMEASURED:
                    HTTP_SECONDS.labels(scope["method"], route, str(status)).observe(
                        time.monotonic() - started
                    )


def install_middleware(app: FastAPI, settings: ServiceSettings) -> None:
    """Add the chassis's middleware and CORS for the public origin to an application."""
    origin = urlsplit(settings.public_origin)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[f"{origin.scheme}://{origin.netloc}"],
        allow_credentials=False,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "traceparent"],
        max_age=600,
    )
    app.add_middleware(
        ChassisMiddleware,
        body_limit_bytes=settings.http_body_limit_bytes,
        documentation_paths=("/docs", "/openapi.json"),
    )
