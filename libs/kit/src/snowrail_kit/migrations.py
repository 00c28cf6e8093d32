"""Migrations: each service's folder of Alembic revisions, run by the owner role before the service starts."""

import importlib.util
from pathlib import Path

from alembic import command
from alembic.config import Config

_ENVIRONMENT = Path(__file__).parent / "alembic"


def revisions_folder(package: str) -> Path:
    """Return the folder with a service package's revisions: inside the package, or beside `src`.

    Raises:
        ModuleNotFoundError: the package is not installed.
        FileNotFoundError: it has no migrations.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed")
    home = Path(spec.origin).parent
    for folder in (home / "migrations", home.parents[1] / "migrations"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{package} has no folder of migrations")


def upgrade(package: str, url: str, revision: str = "head") -> None:
    """Bring a service's database to the newest revision. Running it again changes nothing.

    Args:
        package: the service's package, such as `snowrail_intent`.
        url: `postgresql://owner:password@host:port/database` of a role that may run DDL.
        revision: the newest one to run, to see what the next one makes of a database.
    """
    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(revisions_folder(package)))
    config.attributes["url"] = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    command.upgrade(config, revision)
