"""Which rail carries a payment, and what was learnt."""
