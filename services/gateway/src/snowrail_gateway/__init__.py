"""WebSocket sessions, the user feed, and the one public origin of a local stack."""
