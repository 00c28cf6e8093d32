"""One declaration of a service gives a running process.

    service = Service("intent", Settings, compose, consumers=consumers, routers=(router,))

`build_app(service, settings)` is the whole process as an ASGI application: its lifespan opens the database
and the bus, starts the relay, the consumer and the tasks, and drains them in reverse at the end.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from snowrail_events import EVENTS, Event
from snowrail_kit import audit, telemetry
from snowrail_kit.auth import TokenVerifier
from snowrail_kit.backlog import BACKLOG_EVERY_SECONDS, measure_backlog
from snowrail_kit.bus import PUBLISH_ERRORS, Bus
from snowrail_kit.clock import Clock, SystemClock
from snowrail_kit.consumer import Consumer, Consumers, Unavailable
from snowrail_kit.database import TRANSIENT_ERRORS, Database
from snowrail_kit.housekeeping import housekeep
from snowrail_kit.ids import Ids, TimeOrderedIds
from snowrail_kit.inbox import wake_parked
from snowrail_kit.middleware import install_middleware
from snowrail_kit.problems import Problem, install_problem_handlers
from snowrail_kit.relay import Relay
from snowrail_kit.sequences import ANNOUNCE_EVERY_SECONDS, SWEEP_EVERY_SECONDS, Sequences
from snowrail_kit.settings import ServiceSettings
from snowrail_kit.tasks import Task, TaskRunner
from snowrail_kit.unit_of_work import Transaction, write_outbox

S = TypeVar("S", bound=ServiceSettings)
P = TypeVar("P")

log = structlog.get_logger("service")

_START_ATTEMPTS = 60
_START_PAUSE_SECONDS = 0.5
_HOUSEKEEPING_EVERY_SECONDS = 600.0
_HTTP_TIMEOUT_SECONDS = 5.0
_RESTART_FIRST_SECONDS = 0.5
_RESTART_LAST_SECONDS = 10.0


class Runtime(Generic[S]):
    """What the chassis gives a service: settings, database, bus, clock, ids, and the transaction."""

    def __init__(self, name: str, settings: S, clock: Clock, ids: Ids, with_database: bool) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock
        self.ids = ids
        self.bus = Bus(name, settings)
        self.http = httpx.AsyncClient(timeout=_HTTP_TIMEOUT_SECONDS, limits=httpx.Limits(max_connections=50))
        self.verifier: TokenVerifier | None = None
        self._relay: Relay | None = None
        self._database: Database | None = None
        self._task_runners: dict[str, Callable[[], None]] = {}
        if with_database:
            assert settings.database_url is not None, "set SNOWRAIL_DATABASE_URL"
            self._database = Database(
                settings.database_url.get_secret_value(),
                settings.database_pool_size,
                settings.database_statement_timeout_seconds,
            )
            self._relay = Relay(name, self._database, self.bus, settings.relay_batch_rows)

    @property
    def database(self) -> Database:
        """The service's own database, for reads."""
        assert self._database is not None, "this service has no database"
        return self._database

    @property
    def relay(self) -> Relay:
        """The outbox relay of this process."""
        assert self._relay is not None, "this service has no database"
        return self._relay

    @property
    def has_database(self) -> bool:
        """Whether the service keeps state."""
        return self._database is not None

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        """One unit of work: what the block writes and what it emits commit together, or not at all."""
        async with self.database.transaction() as connection:
            tx = Transaction(connection, self.clock.now(), self.ids)
            yield tx
            if tx.woken:
                await wake_parked(connection, tx.woken, tx.now)
            await write_outbox(connection, tx.outgoing)
            await audit.append(connection, tx.acts, tx.now)
        if tx.outgoing:
            self.relay.wake()

    def consumer(self, consumers: Consumers[P], parts: P) -> Consumer[P]:
        """Return what runs handlers in this process; its relay publishes what each batch emits."""
        return Consumer(
            self.name,
            consumers,
            parts,
            self.bus,
            self.database,
            self.transaction,
            self.relay.follow,
            self.clock,
            self.settings.consumer_batch_messages,
            self.settings.consumer_attempts,
        )

    def wake_task(self, name: str) -> None:
        """Have a periodic task of this process run its next pass now."""
        self._task_runners[name]()

    def register_task(self, name: str, wake: Callable[[], None]) -> None:
        """Make a task known to `wake_task`."""
        self._task_runners[name] = wake


@dataclass(frozen=True)
class Service(Generic[S, P]):
    """The declaration of a service; everything else follows from it.

    Attributes:
        name: hyphenated, as in `services/<name>`; also its NATS identity and durable consumer.
        compose: builds the service's parts (use cases with their stores and clients) from the runtime.
        consumers: handlers per event type; they and the routers receive the parts.
        publishes: events it publishes without an outbox (the gateway's); others follow from the registry.
        tasks: periodic work; a function of the parts where the settings decide, such as one task per chain.
        start, stop: for parts that hold connections of their own.
        drain: called when the process was asked to end and its connections are still open.
        ready: further conditions of readiness; returns a reason when not ready.
    """

    name: str
    settings: type[S]
    compose: Callable[[Runtime[S]], P]
    consumers: Consumers[P] = field(default_factory=Consumers[P])
    routers: Sequence[APIRouter] = ()
    tasks: Sequence[Task[P]] | Callable[[P], Sequence[Task[P]]] = ()
    with_database: bool = True
    start: Callable[[P], Awaitable[None]] | None = None
    stop: Callable[[P], Awaitable[None]] | None = None
    drain: Callable[[P], Awaitable[None]] | None = None
    ready: Callable[[P], Awaitable[str | None]] | None = None
    title: str = ""
    description: str = ""

    @property
    def produced(self) -> list[type[Event]]:
        """Events that this service publishes."""
        return [event for event in EVENTS.values() if self.name in event.producers]

    @property
    def consumed(self) -> list[type[Event]]:
        """Events that this service handles."""
        return [subscription.event for subscription in self.consumers.subscriptions.values()]


def parts_of(request: Request) -> Any:
    """FastAPI dependency: the composed parts of the service that answers."""
    return request.app.state.parts


def build_app(
    service: Service[S, P],
    settings: S | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
) -> FastAPI:
    """Return the ASGI application of a service, with its consumer, relay and tasks in its lifespan."""
    chosen = settings if settings is not None else service.settings()
    runtime = Runtime(
        service.name, chosen, clock or SystemClock(), ids or TimeOrderedIds(), service.with_database
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        provider = telemetry.start_telemetry(service.name, chosen)
        async with AsyncExitStack() as stack:
            if provider is not None:
                stack.callback(provider.shutdown)
            await _open(runtime, stack)
            parts = service.compose(runtime)
            app.state.parts = parts
            if service.start is not None:
                await service.start(parts)
            if service.stop is not None:
                stack.push_async_callback(service.stop, parts)
            await _start_work(service, runtime, parts, stack)
            log.info("started", port=chosen.http_port)
            yield
            log.info("draining")

    app = FastAPI(
        title=service.title or f"Snowrail {service.name}",
        description=service.description,
        version="1",
        lifespan=lifespan,
        docs_url="/docs",
        redoc_url=None,
    )

    async def drain() -> None:
        if service.drain is not None:
            await service.drain(app.state.parts)

    app.state.runtime = runtime
    app.state.drain = drain
    install_middleware(app, chosen)
    install_problem_handlers(app)
    _install_unavailable_handler(app)
    _install_health_routes(app, service, runtime)
    for router in service.routers:
        app.include_router(router)
    return app


async def _open(runtime: Runtime[S], stack: AsyncExitStack) -> None:
    stack.push_async_callback(runtime.http.aclose)
    if runtime.settings.jwt_public_keys_file is not None:
        runtime.verifier = TokenVerifier.from_file(runtime.settings.jwt_public_keys_file)
    if runtime.has_database:
        await _retry_start("database", runtime.database.open)
        stack.push_async_callback(runtime.database.close)
    await _retry_start("bus", runtime.bus.open)
    stack.push_async_callback(runtime.bus.close)


async def _retry_start(what: str, connect: Callable[[], Awaitable[None]]) -> None:
    for attempt in range(1, _START_ATTEMPTS + 1):
        try:
            await connect()
            return
        except (*TRANSIENT_ERRORS, *PUBLISH_ERRORS, httpx.HTTPError) as error:
            if attempt == _START_ATTEMPTS:
                raise
            log.warning("waiting to start", what=what, error=str(error) or type(error).__name__)
            await asyncio.sleep(_START_PAUSE_SECONDS)


async def _start_work(service: Service[S, P], runtime: Runtime[S], parts: P, stack: AsyncExitStack) -> None:
    tasks = list(service.tasks(parts) if callable(service.tasks) else service.tasks)
    if runtime.has_database:
        _spawn(stack, "relay", runtime.relay.run, runtime.relay.stop, runtime.settings)
        consumed = [event.subject for event in service.consumed]
        producers = sorted({producer for event in service.consumed for producer in event.producers})
        sequences = Sequences(service.name, consumed, runtime.bus, runtime.database, runtime.clock)
        await sequences.start(producers)

        async def announce(_: P) -> None:
            await sequences.announce()

        async def sweep(_: P) -> None:
            await sequences.sweep()

        async def keep_house(_: P) -> bool:
            return await housekeep(runtime.database, runtime.clock, service.name)

        async def measure(_: P) -> None:
            consumer = service.name if service.consumers.subscriptions else None
            await measure_backlog(runtime.database, runtime.bus, consumer)

        tasks.append(Task("announce", announce, ANNOUNCE_EVERY_SECONDS))
        tasks.append(Task("sweep", sweep, SWEEP_EVERY_SECONDS, exclusive=True))
        tasks.append(Task("housekeeping", keep_house, _HOUSEKEEPING_EVERY_SECONDS, exclusive=True))
        tasks.append(Task("backlog", measure, BACKLOG_EVERY_SECONDS))
    for task in tasks:
        runner = TaskRunner(task, parts, runtime.database if runtime.has_database else None)
        runtime.register_task(task.name, runner.wake)
        _spawn(stack, task.name, runner.run, runner.stop, runtime.settings)
    if service.consumers.subscriptions:
        consumer = runtime.consumer(service.consumers, parts)
        _spawn(stack, "parked", consumer.run_parked, consumer.stop, runtime.settings)
        _spawn(stack, "consumer", consumer.run, consumer.stop, runtime.settings)


def _spawn(
    stack: AsyncExitStack,
    name: str,
    run: Callable[[], Awaitable[None]],
    stop: Callable[[], None],
    settings: ServiceSettings,
) -> None:
    """Run something until the lifespan ends; then stop it and wait for it, within the graceful timeout."""
    task = asyncio.ensure_future(_supervise(name, run))

    async def drain() -> None:
        stop()
        await asyncio.wait([task], timeout=settings.graceful_timeout_seconds)
        task.cancel()

    stack.push_async_callback(drain)


async def _supervise(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run background work until it returns; begin again, after a pause, whenever it fails."""
    pause_seconds = _RESTART_FIRST_SECONDS
    while True:
        begun = time.monotonic()
        try:
            await run()
            return
        except Exception as error:  # whatever it was, a process that relays and consumes nothing is worse
            telemetry.TASK_FAILURES.labels(name).inc()
            log.error("background work failed", work=name, exc_info=error)
        if time.monotonic() - begun > _RESTART_LAST_SECONDS:
            pause_seconds = _RESTART_FIRST_SECONDS
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, _RESTART_LAST_SECONDS)


def _install_unavailable_handler(app: FastAPI) -> None:
    async def unavailable(_: Request, error: Exception) -> Response:
        log.warning("unavailable", error=str(error) or type(error).__name__)
        return Problem(
            503,
            "unavailable",
            "A part we depend on is not answering; try again.",
            headers={"Retry-After": "2"},
        ).response()

    for error in (Unavailable, *TRANSIENT_ERRORS, httpx.TransportError):
        app.add_exception_handler(error, unavailable)


def _install_health_routes(app: FastAPI, service: Service[S, P], runtime: Runtime[S]) -> None:
    @app.get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live", "service": service.name}

    @app.get("/health/ready", include_in_schema=False)
    async def ready() -> JSONResponse:
        reasons: list[str] = []
        if not runtime.bus.is_connected:
            reasons.append("the bus is not connected")
        if runtime.has_database:
            try:
                await runtime.database.fetch_row("SELECT 1")
            except TRANSIENT_ERRORS:
                reasons.append("the database does not answer")
        if not reasons and service.ready is not None:
            reason = await service.ready(app.state.parts)
            reasons.extend([reason] if reason else [])
        return JSONResponse(
            {"status": "not ready" if reasons else "ready", "service": service.name, "reasons": reasons},
            status_code=503 if reasons else 200,
        )

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
