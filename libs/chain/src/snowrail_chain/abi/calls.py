"""Call data of the escrow and of ERC-20 tokens, packed by hand because thousands are built per second.

Source: https://docs.soliditylang.org/en/latest/abi-spec.html.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from snowrail_chain.eip712 import ORDER_FIELDS, Order, encode_order

MAX_ITEMS = 256
"""Most items of one `executeMany`, as the contract limits them."""

_WORD = 32
_ORDER_TUPLE = f"({','.join(kind for _, kind in ORDER_FIELDS)})"
_ORDER_BYTES = _WORD * len(ORDER_FIELDS)


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


_FUND = _selector(f"fund({_ORDER_TUPLE})")
_DEPOSIT = _selector(f"deposit({_ORDER_TUPLE},uint256)")
_FUND_WITH_PERMIT = _selector(f"fundWithPermit({_ORDER_TUPLE},(uint256,uint256,uint8,bytes32,bytes32),bytes)")
_EXECUTE = _selector(f"execute({_ORDER_TUPLE},uint32,bytes)")
_EXECUTE_MANY = _selector(f"executeMany(({_ORDER_TUPLE},uint32,bytes)[])")
_CANCEL = _selector(f"cancel({_ORDER_TUPLE})")
_RETURN_EXPIRED = _selector(f"returnExpired({_ORDER_TUPLE})")
_ORDER_STATE = _selector("orderState(bytes32)")
_APPROVE = _selector("approve(address,uint256)")
_TRANSFER = _selector("transfer(address,uint256)")
_BALANCE_OF = _selector("balanceOf(address)")
_ALLOWANCE = _selector("allowance(address,address)")
_ACCRUED_FEES = _selector("accruedFees(address)")


@dataclass(frozen=True, slots=True)
class Execution:
    """One item of `executeMany`.

    Attributes:
        order: The signed or funded order.
        occurrence: Executions of the order before this one.
        signature: The payer's signature; empty when the payer's own deposit covers the execution.
    """

    order: Order
    occurrence: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class OrderState:
    """What the escrow remembers of an order.

    Attributes:
        executed: Executions so far, which is the next occurrence.
        cancelled: Whether the payer has forbidden further executions.
        authorised: Whether the payer's own funding stands for a signature on the deposit.
        deposited: Unspent atoms held for the payer.
    """

    executed: int
    cancelled: bool
    authorised: bool
    deposited: int


def fund_calldata(order: Order) -> bytes:
    """The payer deposits native coin, sent as the transaction's value."""
    return _FUND + encode_order(order)


def deposit_calldata(order: Order, amount: int) -> bytes:
    """The payer deposits `amount` atoms of an allowed token."""
    return _DEPOSIT + encode_order(order) + _uint(amount)


def fund_with_permit_calldata(
    order: Order, amount: int, deadline: int, permit_signature: bytes, order_signature: bytes
) -> bytes:
    """Deposit `amount` atoms by a permit of the payer for the escrow.

    Args:
        order: Order with a token that takes EIP-2612 permits.
        amount: Atoms permitted and deposited.
        deadline: Last second (Unix time) of the permit.
        permit_signature: 65 bytes r, s, v.
        order_signature: The payer's signature of the order; empty when the payer sends the transaction.
    """
    permit = (
        _uint(amount)
        + _uint(deadline)
        + _uint(permit_signature[64])
        + permit_signature[:32]
        + permit_signature[32:64]
    )
    head = encode_order(order) + permit
    return _FUND_WITH_PERMIT + head + _uint(len(head) + _WORD) + _bytes(order_signature)


def execute_calldata(execution: Execution) -> bytes:
    """One execution, reverting when it fails."""
    return _EXECUTE + _execution(execution)


def execute_many_calldata(items: Sequence[Execution]) -> bytes:
    """Executions that succeed or fail each alone.

    Raises:
        ValueError: No item, or more than `MAX_ITEMS`.
    """
    if not 0 < len(items) <= MAX_ITEMS:
        raise ValueError(f"one call carries 1 to {MAX_ITEMS} items, not {len(items)}")
    encoded = [_execution(item) for item in items]
    offset = len(items) * _WORD
    offsets: list[bytes] = []
    for item in encoded:
        offsets.append(_uint(offset))
        offset += len(item)
    return b"".join((_EXECUTE_MANY, _uint(_WORD), _uint(len(items)), *offsets, *encoded))


def cancel_calldata(order: Order) -> bytes:
    """The payer forbids further executions and takes back the unspent deposit."""
    return _CANCEL + encode_order(order)


def return_expired_calldata(order: Order) -> bytes:
    """Anyone returns the deposit of an expired order to its payer."""
    return _RETURN_EXPIRED + encode_order(order)


def order_state_calldata(order_hash: bytes) -> bytes:
    """Ask for the state of an order; `decode_order_state` reads the answer."""
    return _ORDER_STATE + order_hash


def decode_order_state(answer: bytes) -> OrderState:
    """Read the answer to `order_state_calldata`.

    Raises:
        ValueError: Not four words.
    """
    if len(answer) != 4 * _WORD:
        raise ValueError(f"an order state has {4 * _WORD} bytes, not {len(answer)}")
    executed, cancelled, authorised, deposited = (
        int.from_bytes(answer[start : start + _WORD], "big") for start in range(0, len(answer), _WORD)
    )
    return OrderState(executed, bool(cancelled), bool(authorised), deposited)


def approve_calldata(spender: str, amount: int) -> bytes:
    """Allow `spender` to move `amount` atoms of the caller's tokens."""
    return _APPROVE + _address(spender) + _uint(amount)


def transfer_calldata(recipient: str, amount: int) -> bytes:
    """Move `amount` atoms of the caller's tokens."""
    return _TRANSFER + _address(recipient) + _uint(amount)


def accrued_fees_calldata(token: str) -> bytes:
    """Ask the escrow for the fees it has taken in a token; `decode_uint256` reads the answer."""
    return _ACCRUED_FEES + _address(token)


def balance_of_calldata(account: str) -> bytes:
    """Ask for a token balance; `decode_uint256` reads the answer."""
    return _BALANCE_OF + _address(account)


def allowance_calldata(owner: str, spender: str) -> bytes:
    """Ask what `spender` may move of the owner's tokens; `decode_uint256` reads the answer."""
    return _ALLOWANCE + _address(owner) + _address(spender)


def decode_uint256(answer: bytes) -> int:
    """Read an answer of one unsigned word.

    Raises:
        ValueError: Not one word.
    """
    if len(answer) != _WORD:
        raise ValueError(f"a word has {_WORD} bytes, not {len(answer)}")
    return int.from_bytes(answer, "big")


def _execution(item: Execution) -> bytes:
    signature_offset = _ORDER_BYTES + 2 * _WORD
    return b"".join(
        (encode_order(item.order), _uint(item.occurrence), _uint(signature_offset), _bytes(item.signature))
    )


def _uint(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")


def _address(address: str) -> bytes:
    return bytes(12) + bytes.fromhex(address[2:])


def _bytes(value: bytes) -> bytes:
    return _uint(len(value)) + value + bytes(-len(value) % _WORD)
