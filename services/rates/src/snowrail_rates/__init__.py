"""Prices of tokens, and what is wrong with them."""
