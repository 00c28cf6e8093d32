"""Which traces are recorded, as their headers say it."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from snowrail_kit.telemetry import context_of, is_sampled, traceparent_of

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [
        (f"{TRACE}-00", False),
        (f"{TRACE}-01", True),
        (f"{TRACE}-02", False),
        (f"{TRACE}-03", True),
        (f"{TRACE}-fe", False),
        (f"{TRACE}-ff", True),
        ("", False),
        (None, False),
    ],
)
def test_the_lowest_bit_of_the_flags_says_whether_a_trace_is_recorded(
    traceparent: str | None, sampled: bool
) -> None:
    assert is_sampled(traceparent) is sampled


@pytest.mark.parametrize(("sampler", "sampled"), [(ALWAYS_ON, True), (ALWAYS_OFF, False)])
def test_what_the_sdk_writes_is_understood(sampler: Sampler, sampled: bool) -> None:
    tracer = TracerProvider(sampler=sampler).get_tracer("test")
    span = tracer.start_span("root")
    header = traceparent_of(span)
    assert is_sampled(header) is sampled
    child = tracer.start_span("child", context=context_of(header))
    assert child.get_span_context().trace_id == span.get_span_context().trace_id
    assert is_sampled(traceparent_of(child)) is sampled
    assert not trace.get_current_span().get_span_context().is_valid
