"""One function per command of accounts."""
