"""A fresh database for every test, copied from a template that was migrated once."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from zlib import crc32

import asyncpg

from snowrail_local.roles import OWNER_ROLE_NAME, ensure_database, ensure_role, grant_rows, quote_name
from snowrail_local.servers import PostgresRole

Migrate: TypeAlias = Callable[[str, str], None]
OWNER = PostgresRole(OWNER_ROLE_NAME)
PREPARING_TIMEOUT_SECONDS = 120.0
LOCK_KEY = 5_870_231


class PostgresAccess(Protocol):
    """A running PostgreSQL whose superuser we are."""

    @property
    def url(self) -> str:
        """URL of the superuser."""
        ...

    def database_url(self, database: str, role: PostgresRole | None = None) -> str:
        """URL of a database for a role, the superuser if none is given."""
        ...


@dataclass(frozen=True)
class TestDatabase:
    """A database of one test.

    Attributes:
        name: in PostgreSQL.
        url: for the service's own role, which may read and write rows and nothing else.
        owner_url: for the role that owns the tables.
        superuser_url: for whoever must see everything, such as a checker of invariants.
    """

    __test__ = False

    name: str
    url: str
    owner_url: str
    superuser_url: str


class CreateDatabase(Protocol):
    """Creates databases that are dropped when the test ends."""

    async def __call__(
        self, service_module: str | None = None, migrate: Migrate | None = None
    ) -> TestDatabase:
        """Return a new database.

        Args:
            service_module: such as `snowrail_intent`; its migrations run once per session. None: no tables.
            migrate: runs the migrations of a module on a database URL; the kit's unless given.
        """
        ...


class Databases:
    """Makes and drops databases on one server, for one test session or one worker of it."""

    def __init__(self, server: PostgresAccess) -> None:
        self._server = server
        self._count = 0
        self._created: list[str] = []

    async def create(self, service_module: str | None = None, migrate: Migrate | None = None) -> TestDatabase:
        """Return a new database, a copy of the migrated template of this service."""
        module = service_module or "empty"
        role = PostgresRole(module.removeprefix("snowrail_"))
        self._count += 1
        name = f"test_{os.getpid()}_{self._count}_{role.name}"[:63]
        admin = await asyncpg.connect(self._server.url, ssl=False)
        try:
            template = await self._template(admin, module, role, migrate if service_module else _nothing)
            await admin.execute(
                f"CREATE DATABASE {quote_name(name)} TEMPLATE {quote_name(template)} STRATEGY FILE_COPY"
            )
            self._created.append(name)
            # rights on the database itself are not copied from the template, those inside it are
            await ensure_database(admin, name, OWNER)
            await admin.execute(f"ALTER DATABASE {quote_name(name)} OWNER TO {quote_name(OWNER.name)}")
            await admin.execute(
                f"GRANT CONNECT, TEMPORARY ON DATABASE {quote_name(name)} TO {quote_name(role.name)}"
            )
        finally:
            await admin.close()
        return TestDatabase(
            name=name,
            url=self._server.database_url(name, role),
            owner_url=self._server.database_url(name, OWNER),
            superuser_url=self._server.database_url(name),
        )

    async def drop_all(self) -> None:
        """Drop what was created, whoever is still connected."""
        if not self._created:
            return
        admin = await asyncpg.connect(self._server.url, ssl=False)
        try:
            while self._created:
                await admin.execute(f"DROP DATABASE IF EXISTS {quote_name(self._created.pop())} WITH (FORCE)")
        finally:
            await admin.close()

    async def _template(
        self,
        admin: asyncpg.Connection,
        module: str,
        role: PostgresRole,
        migrate: Migrate | None,
    ) -> str:
        template = _template_name(module, migrate)
        if await self._is_finished(admin, template):
            return template
        # a session lock: whoever comes second waits until the first has migrated
        await admin.execute("SELECT pg_advisory_lock($1)", LOCK_KEY, timeout=PREPARING_TIMEOUT_SECONDS)
        try:
            if not await self._is_finished(admin, template):
                await admin.execute(f"DROP DATABASE IF EXISTS {quote_name(template)} WITH (FORCE)")
                await ensure_role(admin, OWNER)
                await ensure_role(admin, role)
                await ensure_database(admin, template, OWNER)
                inside = await asyncpg.connect(self._server.database_url(template), ssl=False)
                try:
                    await grant_rows(inside, template, OWNER, role)
                finally:
                    await inside.close()
                owner_url = self._server.database_url(template, OWNER)
                # away from the event loop: a migration runner has one of its own
                await asyncio.to_thread(migrate or kit_migrations, module, owner_url)
                await admin.execute(
                    f"ALTER DATABASE {quote_name(template)} IS_TEMPLATE true ALLOW_CONNECTIONS false"
                )
        finally:
            await admin.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)
        return template

    async def _is_finished(self, admin: asyncpg.Connection, template: str) -> bool:
        return bool(
            await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate", template)
        )


def _template_name(module: str, migrate: Migrate | None) -> str:
    """Return the name of a template; other tables under the same service name are another template."""
    if migrate is None:
        return f"template_{module}"
    made_by = f"{migrate.__module__}.{getattr(migrate, '__qualname__', '')}"
    return f"template_{module}_{crc32(made_by.encode()):08x}"


def kit_migrations(service_package: str, url: str) -> None:
    """Bring a service's database up to date with the kit's migration runner."""
    from snowrail_kit.migrations import upgrade  # late: tests without migrations need no Alembic

    upgrade(service_package, url)


def _nothing(service_package: str, url: str) -> None:
    """Leave an empty database empty."""
