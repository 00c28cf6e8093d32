"""What a user has signed, when it is due, and why it waits."""
