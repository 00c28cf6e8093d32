"""One function per command or event of fraud."""
