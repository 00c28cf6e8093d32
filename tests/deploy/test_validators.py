"""The validators come from pinned content or not at all. The mirror here is a folder of this machine."""

import hashlib
import platform
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from snowrail_delivery import validators
from snowrail_delivery.validators import VALIDATORS, Build, ValidatorUnavailableError, obtain

VERSION = "1.0"


@pytest.fixture
def checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """SHA-256 of the one package on a mirror that holds a kustomize of version 1.0."""
    content = tmp_path / "content"
    (content / "DEBIAN").mkdir(parents=True)
    (content / "DEBIAN/control").write_text(
        f"Package: kustomize\nVersion: {VERSION}\nArchitecture: all\n"
        "Maintainer: nobody\nDescription: stand-in\n"
    )
    executable = content / VALIDATORS["kustomize"].executable
    executable.parent.mkdir(parents=True)
    executable.write_text("stand-in")
    architecture = validators.architecture()
    package = tmp_path / "mirror" / f"pool/kustomize_{VERSION}_{architecture}.deb"
    package.parent.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "--build", content, package], check=True, capture_output=True)
    monkeypatch.setattr(validators, "mirrors", lambda: [f"copy:{tmp_path}/mirror"])
    return hashlib.sha256(package.read_bytes()).hexdigest()


def pin(monkeypatch: pytest.MonkeyPatch, checksum: str) -> None:
    """Make the stand-in, with this checksum, the only accepted build."""
    build = Build(VERSION, "pool/kustomize", {validators.architecture(): checksum})
    monkeypatch.setitem(VALIDATORS, "kustomize", replace(VALIDATORS["kustomize"], builds=(build,)))


def test_the_pinned_content_is_taken_from_the_mirror_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checksum: str
) -> None:
    pin(monkeypatch, checksum)
    executable = obtain("kustomize", tmp_path / "cache")
    assert (executable.read_text(), executable.stat().st_mode & 0o777) == ("stand-in", 0o755)
    monkeypatch.setenv("PATH", "")
    assert obtain("kustomize", tmp_path / "cache") == executable


def test_other_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checksum: str) -> None:
    pin(monkeypatch, checksum[::-1])
    with pytest.raises(ValidatorUnavailableError, match="Hash Sum mismatch"):
        obtain("kustomize", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("kustomize"))


def test_a_processor_without_a_pin_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checksum: str
) -> None:
    pin(monkeypatch, checksum)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ValidatorUnavailableError, match="no build for riscv64"):
        obtain("kustomize", tmp_path / "cache")


def test_a_machine_without_a_package_manager_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValidatorUnavailableError, match="Place an executable of version"):
        obtain("kustomize", tmp_path)
