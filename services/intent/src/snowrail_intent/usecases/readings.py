"""What intents are judged by, read from the chains: one question per chain."""

from collections.abc import Iterable

from snowrail_intent.clients import ChainQuestion, Readings, Wallet, read_chains
from snowrail_intent.domain.intents import Intent, PayingWallet
from snowrail_intent.parts import Parts


async def read_for_intents(intents: Iterable[Intent], parts: Parts) -> Readings:
    """Read balances and allowances of the payers of intents."""
    return await read_wallets({intent.wallet for intent in intents}, parts)


async def read_wallets(wallets: set[PayingWallet], parts: Parts) -> Readings:
    """Read balances, and allowances of what is not the native coin, in the newest block."""
    by_chain: dict[int, list[PayingWallet]] = {}
    for wallet in wallets:
        by_chain.setdefault(wallet.chain_id, []).append(wallet)
    questions = [
        ChainQuestion(
            chain_id,
            parts.chains.chain(chain_id).escrow,
            balances=frozenset(as_read(wallet) for wallet in asked),
            allowances=frozenset(as_read(wallet) for wallet in asked if int(wallet.token, 16) != 0),
        )
        for chain_id, asked in sorted(by_chain.items())
    ]
    return await read_chains(parts.monitor, questions)


def as_read(wallet: PayingWallet) -> Wallet:
    """Return the key of a wallet in the reading of its chain."""
    return Wallet(wallet.address, wallet.token)
