"""The programs that judge the deployment files, fetched once into a cache and pinned by content.

They are Debian packages, so they come from whatever mirror the machine's own package manager is set up to
use. Nothing is installed: one executable is taken out of one package whose SHA-256 is written here.
"""

import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

DOWNLOAD_TIMEOUT_SECONDS = 180
APT_DOWNLOAD = ("/usr/lib/apt/apt-helper", "-o", "APT::Sandbox::User=root", "download-file")
"""Obeys the proxies and credentials of the package manager and refuses content with another checksum."""


class ValidatorUnavailableError(RuntimeError):
    """A pinned program is neither cached nor to be had from the machine's mirrors; says what to do."""


@dataclass(frozen=True)
class Build:
    """One build of a program in the pool of the distribution, known by the content of its package."""

    version: str
    pool_path: str
    sha256: dict[str, str]


@dataclass(frozen=True)
class Validator:
    """A program, the place of its executable inside the package, and the builds it may be taken from.

    The builds are tried in order: the pool drops a build when its suite moves on, so a second one, of a
    newer suite, keeps a clean machine working until the pins are renewed.
    """

    name: str
    executable: str
    builds: tuple[Build, ...]


VALIDATORS = {
    validator.name: validator
    for validator in (
        Validator(
            name="docker-compose",
            executable="usr/libexec/docker/cli-plugins/docker-compose",
            builds=(
                Build(
                    version="2.26.1-4",
                    pool_path="pool/main/d/docker-compose/docker-compose",
                    sha256={
                        "amd64": "47681197cb2b1ab88206b42a1a92fc75f50d9530a6322d03494a473eed0408ea",
                        "arm64": "bbafaa666f3e7fa00ad36f2a8bab889f1c791ca8743d674e7267a3d07203869c",
                    },
                ),
                Build(
                    version="2.40.3-3",
                    pool_path="pool/main/d/docker-compose/docker-compose",
                    sha256={
                        "amd64": "e7603d5e6df0f8404f7b03da478022b87d7b50644cffe68884b071e5cfc17fd3",
                        "arm64": "a7c33f38d80c4fad61d426fd47e0b7f1e81ad4a643e4e4cee3401e6f8638d359",
                    },
                ),
            ),
        ),
        Validator(
            name="kustomize",
            executable="usr/bin/kustomize",
            builds=(
                Build(
                    version="5.6.0+ds-1+b2",
                    pool_path="pool/main/k/kustomize/kustomize",
                    sha256={
                        "amd64": "552bbe5563b522685b10f75a9a226bfbee9778fc313b205d595fdbb7e9c70e33",
                        "arm64": "32d0e1959b5fc257101c8d6139da72af38ff7ce777089666f9d1c916810f1800",
                    },
                ),
                Build(
                    version="5.8.1+ds-1",
                    pool_path="pool/main/k/kustomize/kustomize",
                    sha256={
                        "amd64": "2f926a268932f0798020638188d6925e3de6065744f93a0b48a5c0e92dadeac9",
                        "arm64": "197da5227392f6ad81903f641237b37dbf51a1425d1bddf5002d098fec36e345",
                    },
                ),
            ),
        ),
    )
}

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def obtain(name: str, cache: Path) -> Path:
    """The executable of a pinned program, fetched on first use.

    Args:
        name: a key of `VALIDATORS`.
        cache: folder that keeps one sub-folder per program and build.

    Returns:
        Path of the executable.

    Raises:
        ValidatorUnavailableError: neither cached nor fetchable; the message says how to provide it.
    """
    validator = VALIDATORS[name]
    cached = [cache / f"{name}-{build.version}" / name for build in validator.builds]
    for executable in cached:
        if executable.is_file():
            return executable
    failures: list[str] = []
    for build, executable in zip(validator.builds, cached, strict=True):
        for mirror in mirrors():
            try:
                _fetch(mirror, build, validator.executable, executable)
            except ValidatorUnavailableError as error:
                failures.append(str(error))
            else:
                return executable
    raise ValidatorUnavailableError(
        f"{name} could not be fetched from the package mirrors of this machine. "
        f"Place an executable of version {validator.builds[0].version} at {cached[0]}, or renew the pins in "
        f"{Path(__file__).name}. Attempts: {'; '.join(failures) or 'none'}"
    )


def architecture() -> str:
    """Name that the distribution gives this machine's processor."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def mirrors() -> list[str]:
    """Roots of the mirrors that the package manager of this machine is set up with; none without one."""
    if shutil.which("apt-get") is None:
        return []
    printed = _run(["apt-get", "--print-uris", "update"])
    targets = [line.split("'")[1] for line in printed.splitlines() if line.startswith("'")]
    return list(dict.fromkeys(target.split("/dists/")[0] for target in targets if "/dists/" in target))


def _fetch(mirror: str, build: Build, inside: str, executable: Path) -> None:
    """Download a package, and move the executable inside it into place in one step.

    Raises:
        ValidatorUnavailableError: not reachable, not the pinned content, or no such executable inside.
    """
    sha256 = build.sha256.get(architecture())
    if sha256 is None:
        raise ValidatorUnavailableError(f"{build.version} has no build for {architecture()}")
    url = f"{mirror}/{build.pool_path}_{build.version}_{architecture()}.deb"
    executable.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=executable.parent) as scratch:
        package, content = Path(scratch) / "package.deb", Path(scratch) / "content"
        _run([*APT_DOWNLOAD, url, str(package), f"SHA256:{sha256}"])
        _run(["dpkg-deb", "--extract", str(package), str(content)])
        found = content / inside
        if not found.is_file():
            raise ValidatorUnavailableError(f"{url} holds no {inside}")
        found.chmod(0o755)
        os.replace(found, executable)


def _run(command: list[str]) -> str:
    """Standard output of a command that has to succeed.

    Raises:
        ValidatorUnavailableError: it cannot be started, takes too long or fails; carries its own words.
    """
    try:
        finished = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValidatorUnavailableError(str(error)) from error
    if finished.returncode != 0:
        reason = " ".join(finished.stderr.split()) or f"exit status {finished.returncode}"
        raise ValidatorUnavailableError(f"{Path(command[0]).name}: {reason}")
    return finished.stdout
