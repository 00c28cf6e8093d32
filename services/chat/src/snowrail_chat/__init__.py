"""Chat: a line becomes a command, a command becomes a card."""
