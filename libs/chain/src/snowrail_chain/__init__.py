"""EVM chains as Snowrail's services see them: orders, addresses, configuration, RPC, signing, deployment."""
