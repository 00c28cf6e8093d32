"""One payment is one trace over all services, from the line that was typed to the notification."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from snowrail_client import Wallet
from snowrail_local.dev_accounts import people
from snowrail_local.stack import Stack
from snowrail_local.stack_settings import StackSettings
from snowrail_testkit.emulators.otlp import CollectedSpan, OtlpCollector
from snowrail_testkit.waiting import eventually

from .people import PATIENCE_SECONDS, Chain, PatientClient, Person

FAST_POSTGRES = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
EXPORTED_SECONDS = 60
WHOLE_TRACE = {
    "gateway",
    "chat",
    "intent",
    "payment-orchestrator",
    "fraud",
    "routing",
    "settlement",
    "chain-monitor",
    "notification",
}
LAST_STEPS = {
    ("payment-orchestrator", "process settlement.executed.v1"),
    *((service, "process payment.succeeded.v1") for service in ("chat", "intent", "notification")),
}
OF_A_PAYMENT = ("intent", "fraud", "route", "settlement", "payment")
"""First words of the subjects that exist because of a payment."""
OF_THE_AUTHORISATION = "process intent.authorise.v1"
"""The command that a line of its own leads to: the one message of a payment outside its trace."""


@dataclass(frozen=True)
class Traced:
    """A payment that is final: the message that asked for it, and the one that authorised it, if any."""

    intent_id: str
    message_id: str
    authorised_by: str | None


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as running:
        yield running


@pytest.fixture(scope="module")
def traced_stack(collector: OtlpCollector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("traced")
    free = StackSettings.on_free_ports(folder)
    settings = StackSettings(
        folder,
        services=free.services,
        ports=free.ports,
        environment={
            "SNOWRAIL_OTLP_ENDPOINT": collector.endpoint,
            "SNOWRAIL_TRACE_RATIO": "1",
            "SNOWRAIL_WAITING_NOTICE_SECONDS": "60",
        },
        postgres_settings=FAST_POSTGRES,
    )
    with Stack(settings) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def payments(traced_stack: Stack) -> AsyncIterator[dict[str, Traced]]:
    """One native and one ERC-20 payment, final on the chain; nothing else was paid on this stack."""
    chain = Chain.of(traced_stack)
    async with PatientClient(traced_stack.origin) as first, PatientClient(traced_stack.origin) as second:
        alice, bob = [
            Person(client, Wallet.from_key(account.private_key), client.rpc(chain.url), chain)
            for client, account in zip((first, second), people(), strict=False)
        ]
        for person in (alice, bob):
            await person.client.sign_in(person.wallet, chain.chain_id)
            await person.client.connect()
        yield {currency: await pay(alice, bob, currency) for currency in ("CRO", "USDC")}


async def pay(payer: Person, recipient: Person, currency: str) -> Traced:
    reply = await payer.pay(recipient, "3", currency)
    intent_id = str((await payer.created_intent(reply))["intent_id"])
    authorised_by = None
    for action in reply.card.signing_actions:
        performed = await payer.client.perform(action, payer.wallet, payer.rpc)
        authorised_by = performed.reply.message_id if performed.reply else authorised_by
    await payer.until_final(intent_id)
    await payer.until_status(intent_id, "completed")
    await recipient.client.connection.wait_for(
        "payment_processed", lambda item: item.data["intent_id"] == intent_id, PATIENCE_SECONDS
    )
    return Traced(intent_id, reply.message_id, authorised_by)


def trace_of(collector: OtlpCollector, message_id: str) -> list[CollectedSpan]:
    """Return the spans of the trace in which chat read a line."""
    for span in collector.spans(service="chat", name="process chat.message_posted.v1"):
        if span.attributes["messaging.message.id"] == message_id:
            return collector.spans(trace_id=span.trace_id)
    return []


def orphans(spans: list[CollectedSpan]) -> list[CollectedSpan]:
    known = {span.span_id for span in spans}
    return [span for span in spans if span.parent_id is not None and span.parent_id not in known]


async def exported(collector: OtlpCollector, payment: Traced) -> list[CollectedSpan]:
    """Return a payment's trace once every service exported its part, or what there is by then."""

    async def complete() -> list[CollectedSpan]:
        spans = trace_of(collector, payment.message_id)
        ended = {(span.service, span.name) for span in spans} >= LAST_STEPS
        everywhere = {span.service for span in spans} == WHOLE_TRACE
        return spans if ended and everywhere and not orphans(spans) else []

    try:
        return await eventually(complete, EXPORTED_SECONDS)
    except TimeoutError:
        return trace_of(collector, payment.message_id)


def told(spans: list[CollectedSpan]) -> str:
    return "\n".join(f"{span.service:<22}{span.name:<45}{span.span_id} < {span.parent_id}" for span in spans)


@pytest.mark.parametrize("currency", ["CRO", "USDC"])
async def test_one_payment_is_one_connected_trace_over_all_services(
    collector: OtlpCollector, payments: dict[str, Traced], currency: str
) -> None:
    spans = await exported(collector, payments[currency])
    assert {span.service for span in spans} == WHOLE_TRACE, told(spans)
    assert not orphans(spans), told(spans)
    (root,) = (span for span in spans if span.parent_id is None)
    assert (root.service, root.name) == ("gateway", "chat.message_posted.v1 publish")
    by_id = {span.span_id: span for span in spans}
    for span in spans:
        if span.parent_id is not None:
            assert by_id[span.parent_id].started_at <= span.started_at


@pytest.mark.parametrize("currency", ["CRO", "USDC"])
async def test_each_step_follows_from_the_step_before(
    collector: OtlpCollector, payments: dict[str, Traced], currency: str
) -> None:
    """The parents of a payment's last step lead back over every service that had a part in it."""
    spans = await exported(collector, payments[currency])
    by_id = {span.span_id: span for span in spans}
    (span,) = (item for item in spans if item.name == "process settlement.executed.v1")
    way = [span.service]
    while span.parent_id is not None:
        span = by_id[span.parent_id]
        way.append(span.service)
    assert way == ["payment-orchestrator", "settlement", "payment-orchestrator", "intent", "chat", "gateway"]


async def test_no_step_of_a_payment_is_recorded_elsewhere(
    collector: OtlpCollector, payments: dict[str, Traced]
) -> None:
    traces: set[str] = set()
    for payment in payments.values():
        traces.update(span.trace_id for span in await exported(collector, payment))
    assert len(traces) == len(payments)
    elsewhere = [
        span
        for span in collector.spans()
        if span.name.removeprefix("process ").split(".")[0] in OF_A_PAYMENT and span.trace_id not in traces
    ]
    assert {span.name for span in elsewhere} == {OF_THE_AUTHORISATION}, told(elsewhere)


async def test_the_line_that_authorises_is_a_trace_of_its_own(
    collector: OtlpCollector, payments: dict[str, Traced]
) -> None:
    payment = payments["USDC"]
    assert payment.authorised_by is not None
    asked = await exported(collector, payment)
    authorised = trace_of(collector, payment.authorised_by)
    # its last span ended long before those of the payment that it authorised
    assert {span.service for span in authorised} == {"gateway", "chat", "intent"}, told(authorised)
    assert authorised[0].trace_id != asked[0].trace_id
    assert not orphans(authorised)


async def test_batches_link_to_the_messages_they_handled(
    collector: OtlpCollector, payments: dict[str, Traced]
) -> None:
    spans = await exported(collector, payments["CRO"])
    handled = {(span.trace_id, span.span_id) for span in spans if span.name.startswith("process ")}

    async def linked() -> bool:
        return handled <= {link for span in collector.spans(name="batch") for link in span.links}

    assert handled
    assert await eventually(linked, EXPORTED_SECONDS)
