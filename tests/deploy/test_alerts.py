"""Alarms: over metrics that services declare, by labels these have, each with its place in the handbook."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from snowrail_delivery.catalogue import SERVICES

SERIES = {
    "Counter": ("_total",),
    "Gauge": ("",),
    "ExclusiveGauge": ("",),
    "Histogram": ("_bucket", "_sum", "_count"),
}
"""Endings of the series that a metric of each kind has."""
OF_EVERY_TARGET = {"job", "instance"}
NAME = re.compile(r"\b(?:snowrail_\w+|up)\b")
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")
MATCHER = re.compile(r"(\w+)(?:=~|!~|!=|=)\"")
SHOWN = re.compile(r"\$labels\.(\w+)")
DURATION = re.compile(r"\d+[smh]")
PUNCTUATION = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Metric:
    """A metric as a service declares it."""

    kind: str
    name: str
    help: str
    labels: frozenset[str]

    def series(self) -> Iterator[str]:
        """Names by which Prometheus knows it."""
        for ending in SERIES[self.kind]:
            yield self.name.removesuffix(ending) + ending


@pytest.fixture(scope="module")
def metrics(repository: Path) -> dict[str, Metric]:
    """Every metric of the platform by the names of its series."""
    found: dict[str, Metric] = {}
    for folder in ("libs", "services"):
        for path in (repository / folder).glob("*/src/**/*.py"):
            text = path.read_text("utf-8")
            if "prometheus_client" in text or "snowrail_kit.gauges" in text:
                found |= {name: metric for metric in declared_in(text) for name in metric.series()}
    assert len(found) > 50
    return found


def declared_in(text: str) -> Iterator[Metric]:
    """Metrics that a module declares."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SERIES:
            name, description, *labels = (ast.literal_eval(argument) for argument in node.args)
            yield Metric(node.func.id, name, description, frozenset(labels[0] if labels else ()))


@pytest.fixture(scope="module")
def rules(repository: Path) -> list[dict[str, Any]]:
    """Every alarm."""
    document = yaml.safe_load((repository / "deploy/prometheus/alerts.yaml").read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_every_alarm_says_what_it_is_about(rules: list[dict[str, Any]]) -> None:
    names = [rule["alert"] for rule in rules]
    assert len(set(names)) == len(names) > 20
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
        assert rule["alert"].startswith("Snowrail"), rule
        assert DURATION.fullmatch(rule.get("for", "0s")), rule
        assert set(rule["labels"]) == {"severity"}, rule
        assert rule["labels"]["severity"] in ("critical", "warning"), rule
        assert set(rule["annotations"]) == {"summary", "runbook"}, rule
        for opening, closing in ("()", "{}", "[]"):
            assert rule["expr"].count(opening) == rule["expr"].count(closing), rule


def test_every_alarm_is_over_metrics_and_labels_that_exist(
    rules: list[dict[str, Any]], metrics: dict[str, Metric]
) -> None:
    for rule in rules:
        names = set(NAME.findall(rule["expr"]))
        assert names, rule
        assert names - {"up"} <= set(metrics), rule
        labels = OF_EVERY_TARGET.union(*(metrics[name].labels for name in names - {"up"}))
        groups = [set(group.split(", ")) for group in GROUPING.findall(rule["expr"])]
        used = set(MATCHER.findall(rule["expr"])).union(*groups)
        assert used <= labels, rule
        shown = set(SHOWN.findall(rule["annotations"]["summary"]))
        assert shown <= (groups[0] if groups else OF_EVERY_TARGET), rule


def test_what_one_replica_measures_has_labels_by_which_it_is_withdrawn(metrics: dict[str, Metric]) -> None:
    exclusive = [metric for metric in metrics.values() if metric.kind == "ExclusiveGauge"]
    assert len(exclusive) > 15
    assert all(metric.labels for metric in exclusive)


def test_every_metric_that_is_said_to_alarm_does(
    rules: list[dict[str, Any]], metrics: dict[str, Metric]
) -> None:
    watched = {name for rule in rules for name in NAME.findall(rule["expr"])}
    alarming = {name for name, metric in metrics.items() if metric.help.endswith(": alarm")}
    assert len(alarming) > 5
    assert alarming <= watched


def test_the_handbook_says_what_to_do_about_every_alarm(
    rules: list[dict[str, Any]], repository: Path
) -> None:
    handbook = "docs/operations.md"
    headings = re.findall(r"^#+ (.+)$", (repository / handbook).read_text("utf-8"), re.MULTILINE)
    anchors = {PUNCTUATION.sub("", heading.lower()).replace(" ", "-") for heading in headings}
    places = {rule["annotations"]["runbook"].partition("#")[::2] for rule in rules}
    assert {file for file, _ in places} == {handbook}
    assert {anchor for _, anchor in places} <= anchors


def test_no_service_dies_unnoticed(rules: list[dict[str, Any]]) -> None:
    (rule,) = (rule for rule in rules if rule["alert"] == "SnowrailServiceDown")
    (jobs,) = re.findall(r'job=~"([^"]+)"', rule["expr"])
    assert sorted(jobs.split("|")) == sorted(service.name for service in SERVICES)
