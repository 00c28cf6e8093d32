"""Ends at import."""

raise RuntimeError("broken on purpose")
