"""What notification counts."""

from prometheus_client import Counter, Histogram

DELIVERIES = Counter(
    "snowrail_notification_deliveries_total",
    "Attempts to deliver over a channel, by the state they led to",
    ["channel", "state"],
)
DELIVERY_SECONDS = Histogram(
    "snowrail_notification_delivery_seconds", "Time a provider took with one message", ["channel"]
)
ALERTS_FIRED = Counter("snowrail_notification_price_alerts_fired_total", "Price alerts that fired")
