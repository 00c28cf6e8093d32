"""A development chain that tests can mine, wind back and reorganise."""

from typing import Any

from snowrail_local.servers import Anvil


class DevChain:
    """Control over an anvil chain through its own RPC methods.

    Calls go straight to anvil and take milliseconds; they do not need the event loop.
    """

    def __init__(self, anvil: Anvil) -> None:
        self.anvil = anvil

    @property
    def url(self) -> str:
        """HTTP JSON-RPC URL."""
        return self.anvil.url

    @property
    def websocket_url(self) -> str:
        """WebSocket JSON-RPC URL."""
        return self.anvil.websocket_url

    @property
    def chain_id(self) -> int:
        """EIP-155 chain id."""
        return self.anvil.chain_id

    def call(self, method: str, *parameters: Any) -> Any:
        """Call any JSON-RPC method.

        Raises:
            AnvilCallError: the chain answered with an error.
        """
        return self.anvil.call(method, *parameters)

    def block_number(self) -> int:
        """Return the number of the newest block."""
        return int(self.call("eth_blockNumber"), 16)

    def block_hash(self, number: int) -> str:
        """Return the hash of a block of the present chain."""
        return str(self.call("eth_getBlockByNumber", hex(number), False)["hash"])

    def snapshot(self) -> str:
        """Remember the present state; the id is good for one `revert`."""
        return str(self.call("evm_snapshot"))

    def revert(self, snapshot_id: str) -> None:
        """Return to a snapshot, forgetting every block since.

        Raises:
            ValueError: the snapshot does not exist any more.
        """
        if not self.call("evm_revert", snapshot_id):
            raise ValueError(f"no snapshot {snapshot_id}")

    def mine(self, blocks: int = 1, seconds_between: int = 1) -> int:
        """Mine blocks at once and return the newest number."""
        self.call("anvil_mine", hex(blocks), hex(seconds_between))
        return self.block_number()

    def set_automine(self, enabled: bool) -> None:
        """Mine every transaction at once, or leave them waiting for `mine`."""
        self.call("evm_setAutomine", enabled)

    def advance_time(self, seconds: int) -> None:
        """Move the chain's clock forward and mine a block there."""
        self.call("evm_increaseTime", hex(seconds))
        self.mine()

    def set_gas_price(self, base_fee_wei: int) -> None:
        """Set the base fee of the next block, in wei."""
        self.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee_wei))

    def set_balance(self, address: str, wei: int) -> None:
        """Give an account a balance of the native coin, in wei."""
        self.call("anvil_setBalance", address, hex(wei))

    def reorg(self, depth: int) -> None:
        """Replace the newest `depth` blocks by as many empty ones: their transactions are gone.

        Raises:
            AnvilCallError: the chain is not that long.
        """
        self.call("anvil_reorg", depth, [])

    def rollback(self, depth: int) -> None:
        """Drop the newest `depth` blocks.

        Raises:
            AnvilCallError: the chain is not that long.
        """
        self.call("anvil_rollback", depth)
