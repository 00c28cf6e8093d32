"""One function per command or event; the transaction is the caller's."""
