"""Two chains the contract tests run on: revm in this process, or a real anvil where pyrevm has no wheel.

`SNOWRAIL_EVM_BACKEND` chooses `pyrevm` or `anvil`; without it pyrevm is taken where it is installed.
"""

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from eth_hash.auto import keccak

from snowrail_chain.addresses import checksum_address
from snowrail_local.servers import Anvil

CHAIN_ID = 31337
START_TIME = 2_000_000_000
CALL_GAS = 20_000_000
_OUTPUT = re.compile(r"output: 0x([0-9a-f]*)")


@dataclass(frozen=True)
class Outcome:
    """What a transaction did: `output` is its return or revert data, `logs` are in JSON-RPC form."""

    success: bool
    output: bytes
    gas_used: int
    logs: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])


class Chain(Protocol):
    """A chain under full control of the test."""

    name: str

    def reset(self) -> None:
        """Begin with an empty chain at `START_TIME`."""
        ...

    @property
    def now(self) -> int:
        """Time of the next transaction, Unix seconds."""
        ...

    def set_time(self, timestamp: int) -> None:
        """Set the time of the next transactions; never back."""
        ...

    def set_balance(self, account: str, amount: int) -> None:
        """Give an account exactly so many wei."""
        ...

    def balance(self, account: str) -> int:
        """Native balance in wei."""
        ...

    def deploy(self, sender: str, code: bytes) -> str:
        """Create a contract and return its EIP-55 address."""
        ...

    def send(
        self, sender: str, to: str, data: bytes, *, value: int = 0, gas_price: int = 0, gas: int = CALL_GAS
    ) -> Outcome:
        """Send a transaction as any account."""
        ...

    def read(self, to: str, data: bytes) -> bytes:
        """Answer of a call that changes nothing and must succeed."""
        ...


def chosen_backend() -> str:
    """`pyrevm` or `anvil`."""
    default = "pyrevm" if importlib.util.find_spec("pyrevm") else "anvil"
    return os.environ.get("SNOWRAIL_EVM_BACKEND", default)


class RevmChain:
    """revm in this process: tens of thousands of calls per second."""

    name = "pyrevm"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """See `Chain.reset`."""
        from pyrevm import EVM, CfgEnv, Env

        self._evm = EVM(env=Env(cfg=CfgEnv(chain_id=CHAIN_ID)), spec_id="CANCUN")
        self.set_time(START_TIME)

    @property
    def now(self) -> int:
        """See `Chain.now`."""
        return self._now

    def set_time(self, timestamp: int) -> None:
        """See `Chain.set_time`."""
        from pyrevm import BlockEnv

        self._now = timestamp
        self._evm.set_block_env(BlockEnv(number=1, timestamp=timestamp, basefee=0))

    def set_balance(self, account: str, amount: int) -> None:
        """See `Chain.set_balance`."""
        self._evm.set_balance(account, amount)

    def balance(self, account: str) -> int:
        """See `Chain.balance`."""
        return self._evm.get_balance(account)

    def deploy(self, sender: str, code: bytes) -> str:
        """See `Chain.deploy`."""
        return checksum_address(bytes.fromhex(self._evm.deploy(sender, code)[2:]))

    def send(
        self, sender: str, to: str, data: bytes, *, value: int = 0, gas_price: int = 0, gas: int = CALL_GAS
    ) -> Outcome:
        """See `Chain.send`."""
        try:
            output = self._evm.message_call(
                caller=sender, to=to, calldata=data, value=value, gas=gas, gas_price=gas_price
            )
        except RuntimeError as problem:
            revert = _OUTPUT.search(str(problem))
            used = re.search(r"gas_used: (\d+)", str(problem))
            if used is None:
                raise
            return Outcome(False, bytes.fromhex(revert[1]) if revert else b"", int(used[1]))
        result = self._evm.result
        if result is None:
            raise AssertionError("a call without a result")
        logs: list[Mapping[str, Any]] = [
            {"address": log.address, "topics": log.topics, "data": f"0x{log.data[1].hex()}"}
            for log in result.logs
        ]
        return Outcome(True, bytes(output), result.gas_used, logs)

    def read(self, to: str, data: bytes) -> bytes:
        """See `Chain.read`."""
        return bytes(
            self._evm.message_call(caller=address_of("reader"), to=to, calldata=data, is_static=True)
        )


class AnvilChain:
    """A real node; slower, and its gas is what a chain charges."""

    name = "anvil"

    def __init__(self, node: Anvil) -> None:
        self._node = node
        self._blank: str = node.call("evm_snapshot")
        self.reset()

    def reset(self) -> None:
        """See `Chain.reset`."""
        self._node.call("evm_revert", self._blank)
        self._blank = self._node.call("evm_snapshot")
        self._now = START_TIME

    @property
    def now(self) -> int:
        """See `Chain.now`."""
        return self._now

    def set_time(self, timestamp: int) -> None:
        """See `Chain.set_time`."""
        self._now = timestamp

    def set_balance(self, account: str, amount: int) -> None:
        """See `Chain.set_balance`."""
        self._node.call("anvil_setBalance", account, hex(amount))

    def balance(self, account: str) -> int:
        """See `Chain.balance`."""
        return int(self._node.call("eth_getBalance", account, "latest"), 16)

    def deploy(self, sender: str, code: bytes) -> str:
        """See `Chain.deploy`."""
        receipt = self._transact({"from": sender, "data": f"0x{code.hex()}", "gas": hex(CALL_GAS)})
        return checksum_address(bytes.fromhex(receipt["contractAddress"][2:]))

    def send(
        self, sender: str, to: str, data: bytes, *, value: int = 0, gas_price: int = 0, gas: int = CALL_GAS
    ) -> Outcome:
        """See `Chain.send`."""
        call = {"from": sender, "to": to, "data": f"0x{data.hex()}", "value": hex(value), "gas": hex(gas)}
        receipt = self._transact({**call, "gasPrice": hex(gas_price)})
        success = receipt["status"] == "0x1"
        output = b"" if success else self._revert_data(receipt["transactionHash"])
        return Outcome(success, output, int(receipt["gasUsed"], 16), receipt["logs"])

    def read(self, to: str, data: bytes) -> bytes:
        """See `Chain.read`."""
        answer = self._node.call("eth_call", {"to": to, "data": f"0x{data.hex()}"}, "latest")
        return bytes.fromhex(answer[2:])

    def _transact(self, transaction: Mapping[str, str]) -> dict[str, Any]:
        transaction_hash = self._node.call("eth_sendTransaction", {"gasPrice": "0x0", **transaction})
        self._node.call("evm_setNextBlockTimestamp", hex(self._now))
        self._node.call("evm_mine")
        return self._node.call("eth_getTransactionReceipt", transaction_hash)

    def _revert_data(self, transaction_hash: str) -> bytes:
        trace = self._node.call("debug_traceTransaction", transaction_hash, {"tracer": "callTracer"})
        return bytes.fromhex(trace.get("output", "0x")[2:])


def address_of(label: str) -> str:
    """A made-up address that is the same in every run."""
    return checksum_address(keccak(label.encode())[12:])
