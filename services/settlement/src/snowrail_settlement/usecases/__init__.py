"""Use cases of settlement: accept commands, run lanes, apply facts."""
