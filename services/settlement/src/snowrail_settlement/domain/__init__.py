"""Rules of settlement: what an item goes through, what evidence proves, what a refusal means. Pure."""
