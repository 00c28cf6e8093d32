"""Tables and SQL of chain-monitor."""
