"""The signer's ledger: the effect that each nonce was signed for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from snowrail_kit.unit_of_work import Transaction


class DatabaseLedger:
    """A `SigningLedger` that survives every process. Each claim commits by itself."""

    def __init__(self, transaction: Callable[[], AbstractAsyncContextManager[Transaction]]) -> None:
        self._transaction = transaction

    async def claim(self, chain_id: int, address: str, nonce: int, effect: bytes) -> bytes:
        """See `SigningLedger.claim`."""
        async with self._transaction() as tx:
            await tx.execute(
                "INSERT INTO signing_ledger (chain_id, signer, nonce, effect, recorded_at)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                chain_id,
                address,
                nonce,
                effect,
                tx.now,
            )
            row = await tx.fetch_row(
                "SELECT effect FROM signing_ledger WHERE chain_id = $1 AND signer = $2 AND nonce = $3",
                chain_id,
                address,
                nonce,
            )
        assert row is not None, "a nonce that is claimed has its effect"
        return row["effect"]
