"""Metrics of settlement."""

from prometheus_client import Counter, Histogram

from snowrail_kit.gauges import ExclusiveGauge

ITEMS = Counter("snowrail_settlement_items_total", "Facts told about items", ["event", "code"])
CONTRADICTIONS = Counter(
    "snowrail_settlement_contradictions_total",
    "Executions of what was proven failed, and final transactions without a payment's event: alarm",
)
AWAITING_EVIDENCE = ExclusiveGauge(
    "snowrail_settlement_awaiting_evidence",
    "Unsigned items that the chain says were executed elsewhere, whose event has not been told yet",
    ["chain"],
)
LANE_FROZEN = ExclusiveGauge(
    "snowrail_lane_frozen", "1 while the key was used elsewhere: alarm", ["chain", "signer"]
)
LANE_STUCK = ExclusiveGauge(
    "snowrail_lane_stuck", "1 while something keeps the lane from going on", ["chain", "signer"]
)
LANE_IN_FLIGHT = ExclusiveGauge(
    "snowrail_lane_in_flight", "Signed transactions that are in no block", ["chain", "signer"]
)
LANE_WAITING = ExclusiveGauge("snowrail_lane_waiting_items", "Items that are not signed yet", ["chain"])
LANE_BALANCE = ExclusiveGauge(
    "snowrail_lane_balance_wei", "Native coin that pays for gas", ["chain", "signer"]
)
TRANSACTIONS = Counter("snowrail_lane_transactions_total", "Transactions signed", ["chain", "kind"])
NOT_SIGNED = Counter(
    "snowrail_lane_not_signed_total",
    "Times that a signer gave no signature, by what it raised",
    ["chain", "signer", "problem"],
)
SIGNER_PAUSE = ExclusiveGauge(
    "snowrail_lane_signer_pause_seconds",
    "How long a signer that gave no signature is left alone before it is asked again, 0 once it signs",
    ["chain", "signer"],
)
KEY_CALLS_FAILED = Counter(
    "snowrail_lane_key_calls_failed_total",
    "Calls of a remote key that failed, those that were made again among them",
    ["signer", "kind"],
)
ITEMS_PER_TRANSACTION = Histogram(
    "snowrail_lane_items_per_transaction",
    "Items of a transaction",
    buckets=(1, 2, 5, 10, 20, 50, 100, 150, 256),
)
SEND_ANSWERS = Counter(
    "snowrail_lane_send_answers_total", "Answers to sent transactions", ["chain", "outcome"]
)
