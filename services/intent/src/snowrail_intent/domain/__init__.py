"""Pure rules of payment intents: no clock, no database, no network."""
