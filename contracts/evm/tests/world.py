"""An escrow on a chain, with tokens and people, as the contract tests need it."""

from dataclasses import replace
from functools import cache
from typing import Any

from coincurve import PrivateKey
from eth_abi.abi import encode
from eth_hash.auto import keccak

from snowrail_chain.abi import (
    EscrowEvent,
    Execution,
    OrderState,
    approve_calldata,
    balance_of_calldata,
    decode_escrow_log,
    decode_order_state,
    decode_uint256,
    execute_calldata,
    execute_many_calldata,
    explain_revert,
    order_state_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.deploy import EXECUTOR_ROLE
from snowrail_chain.eip712 import Order, order_hash, signing_digest
from snowrail_evm import load

from .chains import CHAIN_ID, START_TIME, Chain, Outcome, address_of

RICH = 10**24
GAS_PRICE_LIMIT = 10**12
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class Person:
    """An account with a key."""

    def __init__(self, label: str) -> None:
        self.key = PrivateKey(keccak(f"key of {label}".encode()))
        self.address = checksum_address(keccak(self.key.public_key.format(compressed=False)[1:])[12:])

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r, s, v."""
        signature = self.key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + 27,))


@cache
def person(label: str) -> Person:
    """The same person for the same label."""
    return Person(label)


def malleated(signature: bytes) -> bytes:
    """The other signature of the same key and digest, with s in the upper half."""
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes((55 - signature[64],))


def compact(signature: bytes) -> bytes:
    """The same signature in the 64 bytes of EIP-2098."""
    s = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32] + s.to_bytes(32, "big")


def call(signature: str, *arguments: Any) -> bytes:
    """Call data of a function of plain arguments, such as `mint(address,uint256)`."""
    kinds = signature[signature.index("(") + 1 : -1]
    return keccak(signature.encode())[:4] + encode(kinds.split(",") if kinds else [], arguments)


class World:
    """An escrow with its roles, four tokens, and shortcuts that name what happened."""

    def __init__(self, chain: Chain) -> None:
        chain.reset()
        self.chain = chain
        self.admin = address_of("administrator")
        self.executor = address_of("executor")
        for account in (self.admin, self.executor):
            chain.set_balance(account, RICH)
        self.escrow = self.deploy("IntentEscrow", encode(["address"], [self.admin]))
        self.must(self.admin, self.escrow, call("grantRole(bytes32,address)", EXECUTOR_ROLE, self.executor))
        self.usdc = self.deploy("TestUSDC")
        self.usdt = self.deploy("TestUSDT")

    def deploy(self, name: str, arguments: bytes = b"") -> str:
        """Create a contract as the administrator."""
        return self.chain.deploy(self.admin, load(name).bytecode + arguments)

    def must(self, sender: str, to: str, data: bytes, *, value: int = 0, gas_price: int = 0) -> Outcome:
        """Send a transaction that has to succeed."""
        outcome = self.chain.send(sender, to, data, value=value, gas_price=gas_price)
        assert outcome.success, explain_revert(outcome.output)
        return outcome

    def refusal(self, sender: str, to: str, data: bytes, *, value: int = 0, gas_price: int = 0) -> str:
        """Name of the error of a transaction that has to revert."""
        outcome = self.chain.send(sender, to, data, value=value, gas_price=gas_price)
        assert not outcome.success
        return explain_revert(outcome.output).name

    def native_order(self, payer: str, recipient: str, **terms: Any) -> Order:
        """An order of one native execution, open for a day, with any term replaced."""
        order = Order(
            payer=payer,
            recipient=recipient,
            token=NATIVE_TOKEN,
            amount=1_000,
            valid_after=START_TIME,
            valid_until=START_TIME + 86_400,
            max_gas_price=GAS_PRICE_LIMIT,
            safety_buffer=0,
            min_interval=0,
            max_executions=1,
            max_fee=0,
            salt=bytes(32),
        )
        return replace(order, **terms)

    def sign(
        self, signer: Person, order: Order, *, chain_id: int = CHAIN_ID, escrow: str | None = None
    ) -> bytes:
        """The person's signature of the order."""
        return signer.sign_digest(signing_digest(order, chain_id, escrow or self.escrow))

    def permit(
        self,
        owner: Person,
        amount: int,
        deadline: int,
        *,
        token: str | None = None,
        spender: str | None = None,
    ) -> bytes:
        """The owner's first EIP-2612 permit, of the escrow over test dollars by default, r, s, v."""
        kind = keccak(b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")
        kinds = ["address", "address", "uint256", "uint256", "uint256"]
        words = encode(kinds, [owner.address, spender or self.escrow, amount, 0, deadline])
        separator = self.chain.read(token or self.usdc, call("DOMAIN_SEPARATOR()"))
        return owner.sign_digest(keccak(b"\x19\x01" + separator + keccak(kind + words)))

    def mint(self, token: str, account: str, amount: int) -> None:
        """Create test tokens."""
        self.must(self.admin, token, call("mint(address,uint256)", account, amount))

    def approve(self, token: str, owner: str, amount: int, spender: str | None = None) -> None:
        """Set an allowance for the escrow."""
        self.must(owner, token, approve_calldata(spender or self.escrow, amount))

    def token_balance(self, token: str, account: str) -> int:
        """Balance in atoms, of the native coin for the zero address."""
        if token == NATIVE_TOKEN:
            return self.chain.balance(account)
        return decode_uint256(self.chain.read(token, balance_of_calldata(account)))

    def state(self, order: Order) -> OrderState:
        """What the escrow remembers of the order."""
        return decode_order_state(self.chain.read(self.escrow, order_state_calldata(order_hash(order))))

    def execute(
        self, order: Order, occurrence: int = 0, signature: bytes = b"", *, gas_price: int = 1
    ) -> Outcome:
        """One execution by the executor."""
        data = execute_calldata(Execution(order, occurrence, signature))
        return self.chain.send(self.executor, self.escrow, data, gas_price=gas_price)

    def execute_error(
        self, order: Order, occurrence: int = 0, signature: bytes = b"", *, gas_price: int = 1
    ) -> str:
        """Name of the error of an execution that has to revert."""
        outcome = self.execute(order, occurrence, signature, gas_price=gas_price)
        assert not outcome.success
        return explain_revert(outcome.output).name

    def execute_many(self, items: list[Execution], *, gas_price: int = 1, gas: int = 20_000_000) -> Outcome:
        """Many executions by the executor."""
        data = execute_many_calldata(items)
        return self.chain.send(self.executor, self.escrow, data, gas_price=gas_price, gas=gas)

    def events(self, outcome: Outcome) -> list[EscrowEvent]:
        """Events of the escrow, in order."""
        decoded = [decode_escrow_log(log, self.escrow) for log in outcome.logs]
        return [event for event in decoded if event is not None]
