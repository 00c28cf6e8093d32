"""Types of notifications, and their words. Pure."""
