"""What chat counts."""

from prometheus_client import Counter, Histogram

COMMANDS = Counter("snowrail_commands_total", "Lines by command and outcome", ["command", "outcome"])
"""Outcomes: `answered`, `requested`, `refused`, `limited`, `forbidden`, `unreadable`."""

ANSWER_SECONDS = Histogram(
    "snowrail_answer_seconds",
    "From a line's posting to the commit of its answer",
    ["command"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
