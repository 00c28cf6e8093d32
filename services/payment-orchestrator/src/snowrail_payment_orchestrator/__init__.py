"""The saga of one payment over its attempts; holds and ledger."""
