"""A wallet whose key stays in this process."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snowrail_client.rpc import Rpc, quantity

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_GAS_MARGIN_PERCENT = 25


class Wallet:
    """An Ethereum account with a local key. Transactions of one wallet are sent one after the other."""

    def __init__(self, account: "LocalAccount") -> None:
        self._account = account
        self._sending = asyncio.Lock()
        self.address: str = account.address
        """EIP-55 address."""

    @classmethod
    def from_key(cls, private_key: str) -> "Wallet":
        """Return the wallet of a private key in hex. Raises ValueError for a bad key."""
        from eth_account import Account  # takes most of a second to import, and not every program signs

        return cls(Account.from_key(private_key))

    @classmethod
    def create(cls) -> "Wallet":
        """Return a wallet with a new random key."""
        from eth_account import Account

        return cls(Account.create())

    def sign_message(self, text: str) -> str:
        """Return the signature of a text (`personal_sign`, EIP-191) as hex."""
        from eth_account.messages import encode_defunct

        signed = self._account.sign_message(encode_defunct(text=text))
        return "0x" + bytes(signed.signature).hex()

    def sign_typed_data(self, typed_data: Mapping[str, Any]) -> str:
        """Return the signature of typed data (`eth_signTypedData_v4`, EIP-712) as hex."""
        signed = self._account.sign_typed_data(full_message=dict(typed_data))
        return "0x" + bytes(signed.signature).hex()

    async def send_transaction(self, rpc: Rpc, transaction: Mapping[str, Any]) -> str:
        """Complete, sign and send a transaction; return its hash.

        Args:
            transaction: `to`, and optionally `data`, `value` (int or decimal string), `chain_id`, `gas`.

        Raises:
            TransactionFailed: the node refuses it, or it would be reverted.
        """
        async with self._sending:
            call = {
                "from": self.address,
                "to": transaction["to"],
                "data": transaction.get("data") or "0x",
                "value": hex(int(transaction.get("value") or 0)),
            }
            chain_id = transaction.get("chain_id") or quantity(await rpc.call("eth_chainId"))
            gas = transaction.get("gas")
            if gas is None:
                gas = quantity(await rpc.call("eth_estimateGas", call)) * (100 + _GAS_MARGIN_PERCENT) // 100
            gas_price = quantity(await rpc.call("eth_gasPrice"))
            complete: dict[str, Any] = {
                "type": 2,
                "chainId": int(chain_id),
                "nonce": quantity(await rpc.call("eth_getTransactionCount", self.address, "pending")),
                "to": transaction["to"],
                "data": call["data"],
                "value": int(transaction.get("value") or 0),
                "gas": int(gas),
                # Twice the present price: the base fee may rise while the transaction waits.
                "maxFeePerGas": 2 * gas_price,
                "maxPriorityFeePerGas": gas_price // 10,
            }
            signed = self._account.sign_transaction(complete)
            return await rpc.send_raw_transaction(bytes(signed.raw_transaction))
