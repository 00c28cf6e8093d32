"""Fraud: scores payments before they move; lists, reviews, feedback."""
