"""The terminal client: `snowrail chat`."""
