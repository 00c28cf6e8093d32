"""Tables and SQL of settlement."""
