"""The script that makes roles and databases, run with psql against a real PostgreSQL."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from snowrail_local.servers import Postgres, PostgresRole
from snowrail_local.servers.postgres import packaged_binaries

OWNER = "snowrail_owner"
SERVICE = "payment_orchestrator"
NEIGHBOUR = "intent"


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL on which the script has run, and how to run it again."""

    server: Postgres
    passwords: Path
    script: Path

    def run(self) -> None:
        """Run the script as its job does."""
        environment = {
            "PATH": f"{packaged_binaries(None)}:{os.environ['PATH']}",
            "PGHOST": self.server.host,
            "PGPORT": str(self.server.port),
            "PGUSER": "postgres",
            "SUPERUSER_PASSWORD_FILE": str(self.passwords.parent / "superuser"),
            "ROLE_PASSWORDS": str(self.passwords),
        }
        finished = subprocess.run(
            ["sh", str(self.script)], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (finished.returncode, finished.stderr) == (0, "")

    async def connect(self, role: str, database: str, password: str | None = None) -> asyncpg.Connection:
        """Log in with the role's own password, or another one."""
        secret = (self.passwords / role).read_text() if password is None else password
        return await asyncpg.connect(
            self.server.database_url(database, PostgresRole(role, secret)), ssl=False
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Cluster]:
    """A cluster that asks for passwords, with two services, made by the script."""
    folder = tmp_path_factory.mktemp("roles")
    (folder / "passwords").mkdir()
    (folder / "superuser").write_text("super-user'$`word")
    for role in (OWNER, SERVICE, NEIGHBOUR):
        (folder / "passwords" / role).write_text(f"pass'$(id)`\\{role}")
    with Postgres(
        folder / "server", superuser_password="super-user'$`word", settings={"fsync": "off"}
    ) as server:
        cluster = Cluster(server, folder / "passwords", repository / "deploy/postgres/roles.sh")
        cluster.run()
        yield cluster


async def test_a_service_uses_rows_and_changes_no_table(cluster: Cluster) -> None:
    owner = await cluster.connect(OWNER, SERVICE)
    await owner.execute("CREATE TABLE payment (id bigserial PRIMARY KEY)")
    await owner.close()
    service = await cluster.connect(SERVICE, SERVICE)
    await service.execute(
        "INSERT INTO payment DEFAULT VALUES; UPDATE payment SET id = id; DELETE FROM payment"
    )
    for forbidden in (
        "CREATE TABLE other ()",
        "DROP TABLE payment",
        "TRUNCATE payment",
        "CREATE SCHEMA other",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(forbidden)
    await service.close()


async def test_a_service_cannot_enter_its_neighbours_database(cluster: Cluster) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await cluster.connect(SERVICE, NEIGHBOUR)


async def test_running_again_changes_passwords_and_gives_no_right_back(cluster: Cluster) -> None:
    owner = await cluster.connect(OWNER, NEIGHBOUR)
    await owner.execute(f"CREATE TABLE audit (id int); REVOKE UPDATE, DELETE ON audit FROM {NEIGHBOUR}")
    await owner.close()
    (cluster.passwords / NEIGHBOUR).write_text("changed")
    cluster.run()
    service = await cluster.connect(NEIGHBOUR, NEIGHBOUR)
    await service.execute("INSERT INTO audit VALUES (1)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute("DELETE FROM audit")
    await service.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await cluster.connect(NEIGHBOUR, NEIGHBOUR, "wrong")
