"""Snowrail on one machine: real servers from packages, and every service as a process of its own."""
