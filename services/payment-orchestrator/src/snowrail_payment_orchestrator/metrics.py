"""Metrics of reconciliation by token, and of attempts that have not ended."""

from prometheus_client import Gauge

from snowrail_kit.gauges import ExclusiveGauge

DIFFERS = ExclusiveGauge(
    "snowrail_reconciliation_differs", "1 while chain and ledger do not agree: alarm", ["token"]
)
HALTED = ExclusiveGauge(
    "snowrail_asset_halted", "1 while no payment of the token is started: alarm", ["token"]
)
UNSOLICITED = ExclusiveGauge(
    "snowrail_escrow_unsolicited_atoms", "What the escrow holds beyond what it owes", ["token"]
)
COMPARED_AT = Gauge("snowrail_reconciliation_compared_seconds", "Unix time of the last comparison", ["token"])
OPEN_ATTEMPTS = Gauge("snowrail_attempts_open", "Attempts that are live or of unknown outcome", ["status"])
OLDEST_ATTEMPT_SECONDS = Gauge(
    "snowrail_attempt_oldest_seconds", "Age of the oldest of them, 0 where there is none: alarm", ["status"]
)
