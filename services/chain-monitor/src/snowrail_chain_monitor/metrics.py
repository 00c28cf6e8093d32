"""Metrics of chain-monitor, by chain."""

from prometheus_client import Counter, Gauge

from snowrail_kit.gauges import ExclusiveGauge

BLOCKS_BEHIND = ExclusiveGauge("snowrail_chain_blocks_behind", "Blocks the node has and we do not", ["chain"])
SECONDS_BEHIND = ExclusiveGauge(
    "snowrail_chain_seconds_behind", "Age of the newest stored block while there are newer ones", ["chain"]
)
NODE_UP = ExclusiveGauge("snowrail_chain_node_up", "1 while a node answers", ["chain"])
CHECKED_AT = Gauge("snowrail_chain_checked_seconds", "Unix time of the last complete pass", ["chain"])
FROZEN = ExclusiveGauge(
    "snowrail_chain_frozen", "1 while a rollback is deeper than we follow: alarm", ["chain"]
)
DISAGREEMENT = ExclusiveGauge(
    "snowrail_chain_nodes_disagree", "1 while nodes contradict each other: alarm", ["chain"]
)
FINALITY_HELD = ExclusiveGauge(
    "snowrail_chain_finality_held", "1 while blocks deep enough are not told as final: alarm", ["chain"]
)
ENDPOINTS = Gauge("snowrail_chain_endpoints", "Nodes that are configured, each address once", ["chain"])
ENDPOINTS_MISSING = ExclusiveGauge(
    "snowrail_chain_endpoints_missing", "Configured nodes that gave no opinion on finality: alarm", ["chain"]
)
FACTS = Counter("snowrail_chain_facts_total", "Facts told about transactions", ["chain", "kind"])
ROLLED_BACK_BLOCKS = Counter(
    "snowrail_chain_rolled_back_blocks_total", "Stored blocks that left the chain", ["chain"]
)
INCONSISTENT_ANSWERS = Counter(
    "snowrail_chain_inconsistent_answers_total", "Answers of nodes that contradicted each other", ["chain"]
)
