"""Accounts: wallets sign in; users, roles, devices, sessions, limits."""
