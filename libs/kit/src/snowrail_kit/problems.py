"""HTTP errors that people and programs can act on: RFC 9457 problem details with a stable code."""

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from opentelemetry import trace
from starlette.exceptions import HTTPException

_CODES_BY_STATUS = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    429: "rate_limited",
    503: "unavailable",
}


class Problem(Exception):
    """A refusal with an HTTP status and a stable code.

    Args:
        status: HTTP status, 400 to 599.
        code: stable snake_case code that programs may match on.
        detail: what happened and what to do, for a person.
        extra: further members of the problem object.
        headers: further HTTP headers, such as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the problem object."""
        return {
            "type": f"urn:snowrail:problem:{self.code}",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.extra,
        }

    def response(self) -> Response:
        """Return the problem as an HTTP response."""
        return Response(
            orjson.dumps(self.body()),
            status_code=self.status,
            media_type="application/problem+json",
            headers=self.headers,
        )


def not_found(what: str) -> Problem:
    """Return the refusal for something that is absent or not the caller's to see."""
    return Problem(404, "not_found", f"There is no such {what}.")


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES_BY_STATUS.get(error.status_code, "http_error")
    return Problem(error.status_code, code, str(error.detail), headers=error.headers).response()


async def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": ".".join(str(part) for part in item["loc"]), "reason": item["msg"]}
        for item in error.errors()[:50]
    ]
    detail = "; ".join(f"{item['field']}: {item['reason']}" for item in errors[:3])
    return Problem(
        422, "invalid_request", detail or "The request is not valid.", {"errors": errors}
    ).response()


async def _on_unexpected(request: Request, error: Exception) -> Response:
    trace_id = format(trace.get_current_span().get_span_context().trace_id, "032x")
    structlog.get_logger("http").error("unhandled", path=request.url.path, trace_id=trace_id, exc_info=error)
    detail = "Something went wrong on our side; nothing is lost. Retry with the same Idempotency-Key."
    return Problem(500, "internal_error", detail, {"trace_id": trace_id}).response()


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error answer of an application a problem object."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_unexpected)
