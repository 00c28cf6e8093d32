"""Traces, metrics and logs. Work is recorded per batch; a message gets its own span only when sampled."""

import logging
import sys

import structlog
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import Counter, Gauge, Histogram

from snowrail_kit.gauges import ExclusiveGauge
from snowrail_kit.settings import ServiceSettings

_ODD_HEX_DIGITS = tuple("13579bdf")
_SECONDS_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

BATCHES = Counter("snowrail_batches_total", "Batches handled", ["outcome"])
BATCH_MESSAGES = Histogram(
    "snowrail_batch_messages", "Messages per batch", buckets=(1, 2, 5, 10, 50, 100, 500)
)
BATCH_SECONDS = Histogram("snowrail_batch_seconds", "Time to handle a batch", buckets=_SECONDS_BUCKETS)
MESSAGES = Counter("snowrail_messages_total", "Messages received", ["subject", "outcome"])
DEAD_LETTERS = Counter("snowrail_dead_letters_total", "Messages put among the dead letters", ["subject"])
DEAD_LETTERS_WAITING = Gauge("snowrail_dead_letters_waiting", "Dead letters not replayed yet")
PARKED = Gauge("snowrail_parked_messages", "Messages that wait for something that has not arrived")
OUTBOX_UNSENT = Gauge("snowrail_outbox_unsent", "Events committed and not published yet")
OUTBOX_OLDEST_SECONDS = Gauge("snowrail_outbox_oldest_seconds", "Age of the oldest of them; 0 without any")
CONSUMER_PENDING = Gauge("snowrail_consumer_pending", "Messages for this service that are not acknowledged")
CONSUMER_FLOOR = Gauge("snowrail_consumer_floor", "Deliveries up to which everything is acknowledged")
RELAYED = Counter("snowrail_relayed_events_total", "Events published by the relay", ["mode"])
RELAY_SECONDS = Histogram(
    "snowrail_relay_seconds", "Time to number and publish a batch", buckets=_SECONDS_BUCKETS
)
HOLES = ExclusiveGauge(
    "snowrail_sequence_holes", "Numbers missing below a producer's announced maximum", ["producer"]
)
HOLES_ALARM = ExclusiveGauge(
    "snowrail_sequence_holes_alarm", "1 while a hole is older than 60 s", ["producer"]
)
REPUBLISHED = Counter("snowrail_republished_events_total", "Events published again to fill a hole")
HTTP_SECONDS = Histogram(
    "snowrail_http_seconds", "Time to answer", ["method", "route", "status"], buckets=_SECONDS_BUCKETS
)
TASK_FAILURES = Counter("snowrail_task_failures_total", "Failed passes of a periodic task", ["task"])

tracer = trace.get_tracer("snowrail")


def start_telemetry(service: str, settings: ServiceSettings) -> TracerProvider | None:
    """Configure logging, and tracing where an OTLP endpoint is set. Returns the provider to shut down."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
    if settings.otlp_endpoint is None:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "deployment.environment": settings.environment}),
        sampler=ParentBased(TraceIdRatioBased(settings.trace_ratio)),
    )
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    return provider


def current_traceparent() -> str | None:
    """Return the W3C traceparent of the current span, or None outside a trace."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


def context_of(traceparent: str | None) -> Context:
    """Return the context that a traceparent names; an empty one for None."""
    return propagate.extract({"traceparent": traceparent} if traceparent else {}, context=Context())


def is_sampled(traceparent: str | None) -> bool:
    """Return whether the trace is being recorded: the lowest bit of its flags, whatever the others say."""
    return traceparent is not None and traceparent.endswith(_ODD_HEX_DIGITS)


def traceparent_of(span: trace.Span) -> str | None:
    """Return the W3C traceparent that makes later work a child of this span."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context=trace.set_span_in_context(span))
    return carrier.get("traceparent")
