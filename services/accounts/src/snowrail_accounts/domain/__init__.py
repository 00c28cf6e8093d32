"""Pure rules of accounts: the sign-in message, people, sessions."""
