"""What the orchestrator does about each event, for a whole batch at a time."""
