"""Makes money move: on-chain transactions, one nonce lane per signer, outcomes by evidence."""
