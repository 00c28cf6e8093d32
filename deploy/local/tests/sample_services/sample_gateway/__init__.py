"""A service without a database, for the tests of the stack."""
