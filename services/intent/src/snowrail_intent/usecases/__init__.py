"""One function per command, event or pass of the engine; each works on a whole batch in one transaction."""
