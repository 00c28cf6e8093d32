"""The escrow and its tokens on a development chain, and people who sign orders for it."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from coincurve import PrivateKey
from eth_hash.auto import keccak

from snowrail_chain.abi import approve_calldata, balance_of_calldata, decode_uint256, fund_calldata
from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.config import ChainConfig
from snowrail_chain.deploy import Deployer, DeploymentFailed, describe_chain, write_chains_file
from snowrail_chain.eip712 import Order, order_hash, signing_digest
from snowrail_chain.rpc import RpcClient
from snowrail_chain.signer import LocalSigner
from snowrail_events import SettlementExecuteV1
from snowrail_events.fields import OrderTerms
from snowrail_evm import Deployment
from snowrail_testkit.chain import DevChain

# Publicly known keys of the development mnemonic's first accounts: worth nothing anywhere else.
DEPLOYER_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
EXECUTOR_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
SECOND_EXECUTOR_KEY = "0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"
PAYER_KEYS = (
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
)
TOKEN_UNITS = 1_000
GAS_CEILING_WEI = 10**12


class Payer:
    """A person with a funded account that the chain lets us send from."""

    def __init__(self, key: str) -> None:
        self._key = PrivateKey(bytes.fromhex(key[2:]))
        self.address = checksum_address(keccak(self._key.public_key.format(compressed=False)[1:])[12:])

    def sign(self, digest: bytes) -> bytes:
        """Return 65 bytes r, s, v for a 32-byte digest."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + 27,))


class EscrowWorld:
    """A chain on which everything is deployed. Make it with `create`."""

    def __init__(self, chain: DevChain, config: ChainConfig, deployment: Deployment) -> None:
        self.chain = chain
        self.config = config
        self.deployment = deployment
        self.payers = [Payer(key) for key in PAYER_KEYS]
        self._salts = itertools.count(1)

    @classmethod
    async def create(
        cls,
        chain: DevChain,
        folder: Path,
        *,
        confirmations: int = 2,
        rpc_urls: Sequence[str] = (),
        ws_url: str | None = None,
        executor_keys: Sequence[str] = (EXECUTOR_KEY,),
    ) -> "EscrowWorld":
        """Deploy to a chain, give the payers test tokens and the escrow their allowance.

        Args:
            chain: mines each transaction at once, or soon.
            folder: for the deployment document.
            confirmations: depth of finality of the described chain.
            rpc_urls: where services reach the chain, if not directly.
            ws_url: where blocks are announced.
            executor_keys: keys that may execute orders, as hex.
        """
        deployer = LocalSigner(bytes.fromhex(DEPLOYER_KEY[2:]), chain.chain_id)
        executors = [LocalSigner(bytes.fromhex(key[2:]), chain.chain_id).address for key in executor_keys]
        async with chain.anvil.mining_what_is_left(), RpcClient(chain.url, chain.chain_id) as rpc:
            work = Deployer(rpc, deployer)
            try:
                deployment = await work.deploy(folder / "deployment.json", executors, test_tokens=True)
                await work.mint(deployment, [Payer(key).address for key in PAYER_KEYS], TOKEN_UNITS)
            except DeploymentFailed as failure:
                failure.add_note(f"in the pool: {chain.call('txpool_inspect')}")
                raise
        config = describe_chain(
            deployment,
            name="Development chain",
            rpc_urls=rpc_urls or (chain.url,),
            ws_url=ws_url,
            executors=executors,
            confirmations=confirmations,
            block_time_seconds=0.2,
        )
        world = cls(chain, config, deployment)
        for payer in world.payers:
            for token in config.tokens:
                if not token.is_native:
                    await world.approve(payer, token.symbol, 2**255)
        return world

    @property
    def executor(self) -> str:
        """EIP-55 address of the first executor."""
        return self.config.executors[0]

    def write_chains_file(self, path: Path) -> Path:
        """Write the file that describes the chain to services, and return its path."""
        write_chains_file(path, [self.config])
        return path

    async def send(self, sender: str, to: str, data: bytes, value: int = 0, gas: int = 2_000_000) -> str:
        """Send a transaction as an account of the development mnemonic, wait for it, return its hash."""
        call = {
            "from": sender,
            "to": to,
            "data": f"0x{data.hex()}",
            "value": hex(value),
            "gas": hex(gas),
        }
        transaction_hash = str(await self.call("eth_sendTransaction", call))
        async with self.chain.anvil.mining_what_is_left(), asyncio.timeout(30):
            while (await self.call("eth_getTransactionReceipt", transaction_hash)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return transaction_hash

    async def call(self, method: str, *parameters: Any) -> Any:
        """Call any JSON-RPC method without holding up the event loop."""
        return await asyncio.to_thread(self.chain.call, method, *parameters)

    async def approve(self, payer: Payer, symbol: str, amount: int) -> None:
        """Set the escrow's allowance of a payer's token, in atoms."""
        token = self.config.token(symbol).address
        await self.send(payer.address, token, approve_calldata(self.config.escrow, amount))

    async def balance(self, address: str, symbol: str) -> int:
        """Return a balance in atoms."""
        token = self.config.token(symbol)
        if token.is_native:
            return int(await self.call("eth_getBalance", address, "latest"), 16)
        data = f"0x{balance_of_calldata(address).hex()}"
        answer = await self.call("eth_call", {"to": token.address, "data": data}, "latest")
        return decode_uint256(bytes.fromhex(answer[2:]))

    def order(self, payer: Payer, recipient: str, symbol: str = "USDC", **terms: Any) -> Order:
        """Return an order for one payment of one million atoms, valid for years, any term replaced."""
        order = Order(
            payer=payer.address,
            recipient=recipient,
            token=self.config.token(symbol).address,
            amount=1_000_000,
            valid_after=0,
            valid_until=2**40,
            max_gas_price=GAS_CEILING_WEI,
            safety_buffer=0,
            min_interval=0,
            max_executions=1,
            max_fee=0,
            salt=next(self._salts).to_bytes(32, "big"),
        )
        return replace(order, **terms)

    async def fund(self, order: Order, amount: int | None = None) -> str:
        """Have the payer fund a native order, with its amount unless told otherwise; return the hash."""
        value = order.amount if amount is None else amount
        assert order.token == NATIVE_TOKEN, "only native orders are funded"
        return await self.send(order.payer, self.config.escrow, fund_calldata(order), value)

    def sign(self, order: Order) -> bytes:
        """Return the payer's signature of an order."""
        payer = next(payer for payer in self.payers if payer.address == order.payer)
        return payer.sign(signing_digest(order, self.config.chain_id, self.config.escrow))

    def execute_command(
        self, order: Order, *, payment_id: UUID | None = None, attempt: int = 1, **fields: Any
    ) -> SettlementExecuteV1:
        """Return the command to settlement for an occurrence of an order, signed unless it is native."""
        wire = order.to_wire()
        signature = b"" if order.token == NATIVE_TOKEN else self.sign(order)
        values: dict[str, Any] = {
            "payment_id": payment_id or uuid4(),
            "intent_id": uuid4(),
            "user_id": uuid4(),
            "occurrence": 0,
            "attempt": attempt,
            "rail": "evm_escrow",
            "chain_id": self.config.chain_id,
            "escrow": self.config.escrow,
            "order": OrderTerms(
                payer=order.payer,
                recipient=order.recipient,
                token=order.token,
                amount=order.amount,
                valid_after=order.valid_after,
                valid_until=order.valid_until,
                max_gas_price=order.max_gas_price,
                safety_buffer=order.safety_buffer,
                min_interval=order.min_interval,
                max_executions=order.max_executions,
                max_fee=order.max_fee,
                salt=wire["salt"],
            ),
            "order_hash": f"0x{order_hash(order).hex()}",
            "signature": f"0x{signature.hex()}",
            "requested_at": "2026-01-01T12:00:00Z",
        }
        return SettlementExecuteV1.model_validate({**values, **fields})
