"""Tables and SQL, nothing else."""
