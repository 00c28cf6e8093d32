"""A service that cannot start, for the tests of the stack."""
