"""The house stays simple: who may import whom, and what the pure modules may touch."""

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SERVICES = sorted(
    path.name for path in (CHECKOUT / "services").iterdir() if (path / "pyproject.toml").exists()
)
TOUCH_A_CHAIN = {"accounts", "chain-monitor", "chat", "fraud", "intent", "notification", "settlement"}
"""Services that may depend on `libs/chain`: they read addresses or tokens, sign, or follow blocks."""
IO_MODULES = {
    "alembic", "asyncio", "asyncpg", "fastapi", "faststream", "httpx", "nats", "os", "pathlib", "random",
    "requests", "secrets", "socket", "sqlalchemy", "subprocess", "time", "uvicorn", "web3",
}  # fmt: skip


def package_of(service: str) -> str:
    return f"snowrail_{service.replace('-', '_')}"


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(file: Path) -> set[str]:
    """Return the dotted names that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def snowrail_imports(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file) if name.startswith("snowrail_")}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_itself_the_libraries_and_the_contracts_only(service: str) -> None:
    allowed = {package_of(service), "snowrail_kit", "snowrail_events"}
    if service in TOUCH_A_CHAIN:
        allowed |= {"snowrail_chain", "snowrail_evm"}
    for file in sources(CHECKOUT / "services" / service / "src"):
        assert snowrail_imports(file) <= allowed, file


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("contracts/events", {"snowrail_events"}),
        ("contracts/evm", {"snowrail_evm"}),
        ("libs/kit", {"snowrail_kit", "snowrail_events"}),
        ("libs/chain", {"snowrail_chain", "snowrail_evm"}),
        ("libs/client", {"snowrail_client"}),
        ("deploy/topology", {"snowrail_topology", "snowrail_events"}),
    ],
)
def test_libraries_stand_on_what_is_below_them(folder: str, allowed: set[str]) -> None:
    for file in sources(CHECKOUT / folder / "src"):
        assert snowrail_imports(file) <= allowed, file


def pure_modules() -> list[Path]:
    """Return every `domain.py`, and every module of a `domain` package."""
    services = CHECKOUT / "services"
    return [*services.glob("*/src/*/domain.py"), *services.glob("*/src/*/domain/**/*.py")]


@pytest.mark.parametrize(
    "module", [pytest.param(path, id=str(path.relative_to(CHECKOUT))) for path in pure_modules()]
)
def test_domains_do_no_io(module: Path) -> None:
    assert not {name.split(".")[0] for name in imports(module)} & IO_MODULES
    own = module.relative_to(CHECKOUT / "services").parts[2]
    for name in imports(module):
        if name.startswith("snowrail_"):
            assert re.match(
                rf"{own}\.domain|snowrail_kit\.(money|ids)$|snowrail_events"
                r"|snowrail_chain\.(abi|addresses|config|cursor|eip712|lane)",
                name,
            ), f"{module} imports {name}"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_rooms_of_a_service(service: str) -> None:
    folder = CHECKOUT / "services" / service
    package = folder / "src" / package_of(service)
    for room in ("app", "settings", "api"):
        grown = package / room / "__init__.py"
        assert (package / f"{room}.py").exists() or grown.exists(), f"{package / room} is missing"
    assert (package / "py.typed").exists()
    for room in ("README.md", "pyproject.toml", "tests"):
        assert (folder / room).exists(), f"{folder / room} is missing"


@pytest.mark.parametrize("service", SERVICES)
def test_sql_is_written_in_stores_only(service: str) -> None:
    statement = re.compile(r"^\s*(INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b", re.MULTILINE)
    for file in sources(CHECKOUT / "services" / service / "src"):
        if "store" not in file.parts[-1] and "store" not in file.parts[-2]:
            assert not statement.search(file.read_text()), f"{file} writes SQL"


def test_no_code_is_left_unfinished() -> None:
    words = re.compile(r"\b(TO" + "DO|FIX" + "ME|XX" + "X|NotImplemented" + "Error)\\b")
    for top in ("contracts", "libs", "services", "deploy", "tests"):
        for file in sources(CHECKOUT / top):
            if "node_modules" not in file.parts:
                assert not words.search(file.read_text()), file
