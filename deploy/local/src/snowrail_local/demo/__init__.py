"""The demonstration: two people pay each other through the public interfaces, and everything is shown."""

from snowrail_local.demo.running import main

__all__ = ["main"]
