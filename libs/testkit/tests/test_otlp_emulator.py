"""The trace collector, with the exporter that services use."""

import gzip

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from snowrail_testkit.emulators.otlp import TRACES_PATH, OtlpCollector

PROTOBUF = {"Content-Type": "application/x-protobuf"}


def export(collector: OtlpCollector, service: str, compression: Compression) -> trace.SpanContext:
    """Export a root with a child and a span that links to them; return the context of the root."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    exporter = OTLPSpanExporter(
        endpoint=collector.endpoint + TRACES_PATH, timeout=30, compression=compression
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("root", attributes={"size": 3, "colour": "red"}) as root:
        tracer.start_span("child").end()
    tracer.start_span("batch", links=[trace.Link(root.get_span_context())]).end()
    provider.shutdown()
    return root.get_span_context()


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_are_listed_by_trace_service_and_name(compression: Compression) -> None:
    with OtlpCollector() as collector:
        context = export(collector, "one", compression)
        export(collector, "two", compression)
        assert len(collector.spans()) == 6
        trace_id = f"{context.trace_id:032x}"
        root, child = collector.spans(trace_id=trace_id)
        assert (root.name, root.service, root.parent_id) == ("root", "one", None)
        assert root.attributes == {"size": 3, "colour": "red"}
        assert (child.name, child.parent_id) == ("child", root.span_id)
        (batch,) = collector.spans(service="one", name="batch")
        assert batch.trace_id != trace_id
        assert batch.links == ((trace_id, root.span_id),)


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/v1/metrics", PROTOBUF, b"", 404),
        (TRACES_PATH, {"Content-Type": "application/json"}, b"{}", 415),
        (TRACES_PATH, PROTOBUF, b"\xff\xff\xff", 400),
        (TRACES_PATH, {**PROTOBUF, "Content-Encoding": "gzip"}, b"no gzip", 400),
        (TRACES_PATH, {**PROTOBUF, "Content-Encoding": "gzip"}, gzip.compress(b"x", mtime=0)[:-4], 400),
        (TRACES_PATH, PROTOBUF, b"", 200),
    ],
)
def test_what_is_no_export_is_refused(path: str, headers: dict[str, str], body: bytes, status: int) -> None:
    with OtlpCollector() as collector:
        answer = httpx.post(collector.endpoint + path, headers=headers, content=body, timeout=30)
        assert answer.status_code == status
        assert collector.spans() == []
