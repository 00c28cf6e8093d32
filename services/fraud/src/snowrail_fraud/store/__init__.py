"""Tables and SQL of fraud, nothing else. Addresses are stored in lower case."""
