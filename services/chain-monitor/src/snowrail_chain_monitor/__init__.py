"""What really happened on chain: blocks, logs, finality, gas, balances."""
