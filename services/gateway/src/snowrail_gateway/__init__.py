"""WebSocket sessions, the user feed, and the paths of the one public origin."""
