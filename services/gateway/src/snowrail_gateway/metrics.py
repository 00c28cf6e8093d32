"""What the gateway counts."""

from prometheus_client import Counter, Gauge, Histogram

CONNECTIONS = Gauge("snowrail_gateway_connections", "Open WebSocket connections", ["state"])
REFUSALS = Counter("snowrail_gateway_refusals_total", "WebSocket handshakes refused", ["reason"])
DISCONNECTS = Counter("snowrail_gateway_disconnects_total", "Sessions that the gateway ended", ["code"])
FRAMES_RECEIVED = Counter("snowrail_gateway_frames_received_total", "Frames from clients", ["type"])
MESSAGES_PUBLISHED = Counter("snowrail_gateway_messages_published_total", "Events published", ["outcome"])
PUBLISH_BATCH = Histogram(
    "snowrail_gateway_publish_batch_messages", "Events per publication", buckets=(1, 2, 5, 10, 20, 50, 100)
)
FEED_MESSAGES = Counter("snowrail_gateway_feed_messages_total", "Messages of the feed stream heard")
MALFORMED = Counter("snowrail_gateway_malformed_events_total", "Feed messages that are no events")
DELIVERIES = Counter("snowrail_gateway_deliveries_total", "Feed events handed to a listener")
FANOUT_SECONDS = Histogram(
    "snowrail_gateway_fanout_seconds",
    "From the commit of an event to its hand-over to the user's sockets",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 30),
)
FEED_INTERRUPTIONS = Counter("snowrail_gateway_feed_interruptions_total", "Feed consumers made anew")
REPLAYED = Histogram(
    "snowrail_gateway_replayed_events",
    "Events replayed to a client that came back",
    buckets=(0, 1, 2, 5, 10, 50, 100, 500, 1_000),
)
REVOKED = Counter("snowrail_gateway_revoked_sessions_total", "Sessions that ended before their tokens")
RESYNCS = Counter("snowrail_gateway_resyncs_total", "Clients told to reload")
PROXIED = Counter("snowrail_gateway_proxied_total", "Requests passed on", ["service", "outcome"])
RATE_LIMITED = Counter("snowrail_gateway_rate_limited_total", "Requests over a limit", ["limit"])
