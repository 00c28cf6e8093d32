"""Use cases of chain-monitor: follow chains, decide what is final, go back, answer and administer."""
