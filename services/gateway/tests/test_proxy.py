"""The local edge: what a service sees of a request, what a client sees of an answer, and failures of both."""

import asyncio
import gzip
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from snowrail_testkit import RunningService

from .support import StartGateway

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


async def read_request(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return the request line, headers and body that a service receives."""
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
    sizes = dict(headers)
    body = b""
    if "transfer-encoding" in sizes:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(sizes.get("content-length", "0")))
    return line, headers, body


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with what was received."""
    line, headers, body = await read_request(reader)
    answer = gzip.compress(orjson.dumps({"line": line, "headers": headers, "bytes": len(body)}))
    writer.write(
        b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: echo\r\nConnection: close, X-Private\r\n"
        b"X-Private: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)
    )
    await writer.drain()
    writer.close()


@asynccontextmanager
async def upstream(handler: Handler) -> AsyncGenerator[dict[str, str]]:
    """Run a stand-in for the service `intent`."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        yield {"intent": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"}


async def test_a_request_is_passed_on_as_it_is_but_for_the_path(start_gateway: StartGateway) -> None:
    async with upstream(echo) as upstreams, start_gateway(upstreams=upstreams) as gateway:
        answer = await gateway.http.post(
            "/api/intents/5%20a/%C3%A9?x=%2F&y=1&y=2",
            content=b'{"amount":"1"}',
            headers={"Idempotency-Key": "k", "Authorization": "Bearer t", "Content-Type": "application/json"},
        )
    seen = answer.json()
    headers = dict(seen["headers"])
    assert seen["line"] == "POST /intents/5%20a/%C3%A9?x=%2F&y=1&y=2 HTTP/1.1"
    assert seen["bytes"] == 14
    assert headers["idempotency-key"] == "k"
    assert headers["authorization"] == "Bearer t"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("python-httpx")


async def test_headers_of_one_hop_stay_there_and_the_edge_says_who_asks(start_gateway: StartGateway) -> None:
    async with upstream(echo) as upstreams, start_gateway(upstreams=upstreams) as gateway:
        answer = await gateway.http.get(
            "/api/intent/x",
            headers={
                "X-Forwarded-For": "203.0.113.9",
                "X-Real-IP": "203.0.113.9",
                "Forwarded": "for=203.0.113.9",
                "Connection": "keep-alive, X-Hop",
                "X-Hop": "1",
                "TE": "trailers",
                "Proxy-Authorization": "Basic x",
            },
        )
        seen = [tuple(item) for item in answer.json()["headers"]]
        names = [name for name, _ in seen]
        assert ("x-forwarded-for", "127.0.0.1") in seen
        assert ("x-forwarded-proto", "http") in seen
        assert ("x-forwarded-host", gateway.url.removeprefix("http://")) in seen
        assert names.count("x-forwarded-for") == names.count("host") == 1
    assert not {"x-real-ip", "forwarded", "x-hop", "te", "proxy-authorization"} & set(names)


async def test_an_answer_comes_back_as_it_is(start_gateway: StartGateway) -> None:
    async with upstream(echo) as upstreams, start_gateway(upstreams=upstreams) as gateway:
        answer = await gateway.http.get("/api/intent/x")
    assert answer.status_code == 201
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert len(answer.headers.get_list("date")) == 1
    assert not {"server", "x-private", "keep-alive"} & set(answer.headers)


async def test_bodies_are_bounded_and_streamed(start_gateway: StartGateway) -> None:
    async def chunks(count: int) -> AsyncGenerator[bytes]:
        for _ in range(count):
            yield b"x" * 10_000

    async with (
        upstream(echo) as upstreams,
        start_gateway(upstreams=upstreams, http_body_limit_bytes=100_000) as gateway,
    ):
        streamed = await gateway.http.post("/api/intent/x", content=chunks(10))
        assert streamed.json()["bytes"] == 100_000
        announced = await gateway.http.post("/api/intent/x", content=b"x" * 100_001)
        assert (announced.status_code, announced.json()["code"]) == (413, "body_too_large")
        found_out = await gateway.http.post("/api/intent/x", content=chunks(11))
        assert (found_out.status_code, found_out.json()["code"]) == (413, "body_too_large")


async def test_an_answer_is_streamed(start_gateway: StartGateway) -> None:
    go_on = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nfir")
        await go_on.wait()
        writer.write(b"st!")
        writer.close()

    async with (
        upstream(slowly) as upstreams,
        start_gateway(upstreams=upstreams) as gateway,
        gateway.http.stream("GET", "/api/intent/x") as answer,
    ):
        parts = answer.aiter_raw()
        assert await anext(parts) == b"fir"
        go_on.set()
        assert await anext(parts) == b"st!"


async def test_a_service_that_is_not_there_is_a_bad_gateway(start_gateway: StartGateway) -> None:
    async with start_gateway(upstreams={"intent": "http://127.0.0.1:1"}) as gateway:
        answer = await gateway.http.get("/api/intent/x")
        assert (answer.status_code, answer.json()["code"]) == (502, "bad_gateway")
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await gateway.http.get("/api/fraud/x")).status_code == 404


async def test_a_service_that_talks_nonsense_is_a_bad_gateway(start_gateway: StartGateway) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"220 smtp ready\r\n")
        writer.close()

    async with upstream(nonsense) as upstreams, start_gateway(upstreams=upstreams) as gateway:
        assert (await gateway.http.get("/api/intent/x")).status_code == 502


async def test_a_service_that_does_not_answer_is_a_gateway_timeout(start_gateway: StartGateway) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with (
        upstream(silent) as upstreams,
        start_gateway(upstreams=upstreams, upstream_answer_timeout_seconds=0.1) as gateway,
    ):
        answer = await gateway.http.get("/api/intent/x")
        assert (answer.status_code, answer.json()["code"]) == (504, "gateway_timeout")


async def test_an_answer_that_breaks_off_is_seen_as_incomplete(start_gateway: StartGateway) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        writer.close()

    async with upstream(broken) as upstreams, start_gateway(upstreams=upstreams) as gateway:
        with pytest.raises(httpx.RemoteProtocolError):
            await gateway.http.get("/api/intent/x")


NOT_PUBLIC = {
    "/api/intent/internal/balances": 404,
    "/api/intent/%69nternal/balances": 404,
    "/api/intent/metrics": 404,
    "/api/intent/%2e%2e/internal": 400,
    "/api/intent//internal": 400,
    "/api/intent/x%2F..%2Finternal": 400,
    "/api/unknown/x": 404,
    "/nothing": 404,
}


async def test_what_is_not_public_is_not_reached(start_gateway: StartGateway) -> None:
    async with upstream(echo) as upstreams, start_gateway(upstreams=upstreams) as gateway:
        for path, status in NOT_PUBLIC.items():
            raw = httpx.URL(gateway.url).copy_with(raw_path=path.encode())
            answer = await gateway.http.send(httpx.Request("GET", raw))
            assert answer.status_code == status, path
            assert answer.headers["content-type"] == "application/problem+json"


async def test_the_landing_page_names_the_documents(gateway: RunningService) -> None:
    answer = await gateway.http.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "/api/payment-orchestrator/openapi.json" in answer.text
    document = (await gateway.http.get("/openapi.json")).json()
    assert "/feed" in document["paths"]


async def test_paths_of_clients_make_no_metrics_of_their_own(start_gateway: StartGateway) -> None:
    async with upstream(echo) as upstreams, start_gateway(upstreams=upstreams) as gateway:
        await gateway.http.get("/api/intent/a-path-nobody-else-asks-for")
        metrics = (await gateway.http.get("/metrics")).text
        assert 'snowrail_gateway_proxied_total{outcome="answered",service="intent"}' in metrics
        assert "a-path-nobody-else-asks-for" not in metrics
