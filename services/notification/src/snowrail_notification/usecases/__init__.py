"""What is told about each event, for a whole batch at a time."""
