"""Clients of the providers: each hands one message over and says how the attempt ended."""
