"""The image recipes: what the linter says, what they promise, and that what they copy is enough to run."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths

from snowrail_delivery.catalogue import HTTP_PORT, SERVICES

HADOLINT = Path(sys.executable).with_name("hadolint")
UV = Path(sys.executable).with_name("uv")
RECIPES = ("deploy/images/Dockerfile", "deploy/images/devchain.Dockerfile")
INSTALL_TIMEOUT_SECONDS = 300


@dataclass
class Stage:
    """The instructions of one build stage, in order, as keyword and argument."""

    instructions: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def all(self, keyword: str) -> list[str]:
        """Arguments of every instruction of a kind."""
        return [argument for word, argument in self.instructions if word == keyword]


def stages(recipe: Path) -> list[Stage]:
    """A recipe's stages, continuation lines joined and comments left out."""
    lines = [line for line in recipe.read_text().splitlines() if not line.startswith("#")]
    found: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        keyword, _, argument = line.strip().partition(" ")
        if keyword == "FROM":
            found.append(Stage())
        if keyword:
            found[-1].instructions.append((keyword, " ".join(argument.split())))
    return found


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest, repository: Path) -> Path:
    """Each recipe in turn."""
    return repository / request.param


def test_the_linter_has_nothing_to_say(recipe: Path) -> None:
    finished = subprocess.run(
        [HADOLINT, "--no-color", "--failure-threshold", "style", recipe],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (0, "")


def test_it_builds_anywhere_and_runs_as_nobody_in_particular(recipe: Path) -> None:
    assert "syntax=" not in recipe.read_text()
    images = [stage for stage in stages(recipe) if stage.all("CMD")]
    assert images[-1] == stages(recipe)[-1]
    for image in images:
        assert "@sha256" not in image.all("FROM")[0]
        assert image.all("USER")[-1] == "10001:10001"
        assert "--start-period" in image.all("HEALTHCHECK")[0]


def test_the_recipe_of_the_services_listens_where_everybody_looks(repository: Path) -> None:
    final = stages(repository / RECIPES[0])[-1]
    assert final.all("EXPOSE") == [str(HTTP_PORT)]
    assert f"SNOWRAIL_HTTP_PORT={HTTP_PORT}" in final.all("ENV")[0]
    assert f":{HTTP_PORT}/health/ready" in final.all("HEALTHCHECK")[0]


@dataclass(frozen=True)
class Built:
    """What the final stage copies, laid out under a folder, and the variables it sets."""

    root: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The recipe carried out for all services at once, short of being an image."""
    root = tmp_path_factory.mktemp("image")
    patterns = (repository / ".dockerignore").read_text().splitlines()
    context = [
        Path(name)
        for name in exclude_paths(str(repository), [line for line in patterns if line and line[0] != "#"])
        if (repository / name).is_file()
    ]
    first, *_, final = stages(repository / RECIPES[0])
    install(first.all("RUN")[0], repository, root)
    for argument in final.all("COPY"):
        *flags, source, target = argument.split(" ")
        if any(flag.startswith("--from=") for flag in flags):
            continue
        for service in SERVICES:
            lay_out(
                repository,
                context,
                root,
                *(text.replace("${SERVICE}", service.name) for text in (source, target)),
            )
    variables = dict(item.split("=", 1) for item in final.all("ENV")[0].split(" "))
    paths = {
        str(root) + path.replace("${SERVICE}", service.name)
        for service in SERVICES
        for path in variables["PYTHONPATH"].split(":")
    }
    yield Built(root, {**variables, "PYTHONPATH": ":".join(sorted(paths)), "PATH": os.environ["PATH"]})
    shutil.rmtree(root)


def install(commands: str, repository: Path, root: Path) -> None:
    """Run the recipe's own `uv` commands, with a cache, for the Python that runs the tests."""
    for command in commands.split(" && "):
        if command.startswith("uv "):
            words = [
                word for word in shlex.split(command) if word not in ("--no-cache", "--compile-bytecode")
            ]
            words = [word.replace("/requirements/", f"{repository}/deploy/requirements/") for word in words]
            words = [f"{root}{word}" if word.startswith("/opt/") else word for word in words]
            environment = {**os.environ, "PATH": f"{UV.parent}:{os.environ['PATH']}"}
            subprocess.run(words, check=True, env=environment, timeout=INSTALL_TIMEOUT_SECONDS)


def lay_out(repository: Path, context: list[Path], root: Path, source: str, target: str) -> None:
    """Do what COPY does: the files of the context below `source` appear below `target`."""
    copied = [path for path in context if path == Path(source) or Path(source) in path.parents]
    assert copied, f"the context holds nothing of {source}"
    for path in copied:
        place = root / target.lstrip("/") / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(repository / path)


def test_what_is_copied_is_enough_to_run_every_service_and_its_migrations(built: Built) -> None:
    program = (
        "import importlib, json, sys\n"
        "from snowrail_kit.migrations import revisions_folder\n"
        "import snowrail_delivery.cli, snowrail_topology.__main__\n"
        "for package, has_database in json.loads(sys.argv[1]):\n"
        "    assert importlib.import_module(package + '.app').service\n"
        "    assert not has_database or list(revisions_folder(package).rglob('*.py')), package\n"
    )
    services = [(service.package, service.has_database) for service in SERVICES]
    finished = subprocess.run(
        [built.root / "opt/snowrail/bin/python", "-c", program, json.dumps(services)],
        env=built.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_no_tests_reach_an_image(built: Built) -> None:
    assert not list(built.root.glob("app/**/tests"))


@pytest.mark.parametrize(
    ("task", "arguments", "secret"),
    [
        (["run"], "-m snowrail_kit run snowrail_payment_orchestrator", None),
        (
            ["migrate"],
            "-m snowrail_kit migrate snowrail_payment_orchestrator",
            "SNOWRAIL_MIGRATION_DATABASE_URL",
        ),
        (["topology", "--replicas", "3"], "-m snowrail_topology apply --replicas 3", "SNOWRAIL_NATS_SEED"),
        (["devchain", "--chains", "a b"], "-m snowrail_delivery devchain --chains a b", None),
    ],
    ids=["run", "migrate", "topology", "devchain"],
)
def test_each_task_of_the_image_runs_what_it_says_with_its_one_secret(
    repository: Path, tmp_path: Path, task: list[str], arguments: str, secret: str | None
) -> None:
    script = tmp_path / "snowrail"
    text = (repository / "deploy/images/snowrail").read_text()
    script.write_text(text.replace("/run/secrets/snowrail", str(tmp_path)))
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$*"\nenv\n')
    python.chmod(0o755)
    for name in ("snowrail_migration_database_url", "snowrail_nats_seed"):
        (tmp_path / name).write_text(f"the $secret of {name.upper()}")
    environment = {"PATH": f"{tmp_path}:{os.defpath}", "SNOWRAIL_SERVICE": "payment-orchestrator"}
    finished = subprocess.run(
        ["sh", script, *task], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    command, *variables = finished.stdout.splitlines()
    assert command == arguments
    secrets = [variable for variable in variables if "the $secret" in variable]
    assert secrets == ([f"{secret}=the $secret of {secret}"] if secret else [])


def test_a_task_without_its_secret_or_without_meaning_fails(repository: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    for task in ("migrate", "dance"):
        finished = subprocess.run(
            ["sh", repository / "deploy/images/snowrail", task],
            env={"PATH": f"{tmp_path}:{os.defpath}", "SNOWRAIL_SERVICE": "intent"},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode != 0, task
