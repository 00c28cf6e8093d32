"""Tables and SQL of the intent service, nothing else. Every statement is set-based."""
