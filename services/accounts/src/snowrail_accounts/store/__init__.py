"""Tables and SQL of accounts, nothing else."""
