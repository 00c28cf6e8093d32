"""Orders that the platform offers for signing, and the transactions a payer may send about them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from eth_hash.auto import keccak

from snowrail_chain.abi import (
    approve_calldata,
    cancel_calldata,
    deposit_calldata,
    fund_calldata,
    return_expired_calldata,
)
from snowrail_chain.eip712 import Order
from snowrail_events.fields import OrderTerms
from snowrail_events.parts import UnsignedTransaction


@dataclass(frozen=True, slots=True)
class OrderPolicy:
    """What the platform puts into orders.

    Attributes:
        lifetime: how long an order is valid after it may first execute.
        clock_skew: how far before the present a window opens, since block time lags behind.
        gas_ceiling_percent: highest gas price of an execution, in percent of the present price.
        gas_ceiling_least_wei: the ceiling is never lower, whatever the present price.
    """

    lifetime: timedelta
    clock_skew: timedelta
    gas_ceiling_percent: int
    gas_ceiling_least_wei: int

    def gas_ceiling(self, gas_price: int) -> int:
        """Highest gas price in wei at which an order made at this gas price may execute."""
        return max(gas_price * self.gas_ceiling_percent // 100, self.gas_ceiling_least_wei)

    def expiry(self, now: datetime, not_before: datetime | None) -> datetime:
        """When an order expires, in whole seconds as the chain counts them."""
        opens = max(now, not_before) if not_before else now
        return (opens + self.lifetime).replace(microsecond=0)

    def opening(self, now: datetime, not_before: datetime | None) -> int:
        """First second (Unix time) at which an order may execute."""
        return int((not_before or now - self.clock_skew).timestamp())


def order_salt(intent_id: UUID, revision: int) -> bytes:
    """Return the 32 bytes that make the order of this revision distinct, always the same."""
    return keccak(b"snowrail.order" + intent_id.bytes + revision.to_bytes(4, "big"))


def order_terms(order: Order) -> OrderTerms:
    """Return an order in the form that events carry. The order has been validated where it was made."""
    return OrderTerms.model_construct(
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
        salt=f"0x{order.salt.hex()}",
    )


def fund_transaction(order: Order, chain_id: int, escrow: str) -> UnsignedTransaction:
    """The payer deposits the native coin; sending it authorises the order."""
    total = (order.amount + order.max_fee) * order.max_executions
    return _transaction("fund", chain_id, escrow, fund_calldata(order), total)


def deposit_transaction(order: Order, chain_id: int, escrow: str, amount: int) -> UnsignedTransaction:
    """The payer deposits atoms of the order's token, native or not."""
    if int(order.token, 16) == 0:
        return _transaction("deposit", chain_id, escrow, fund_calldata(order), amount)
    return _transaction("deposit", chain_id, escrow, deposit_calldata(order, amount), 0)


def approve_transaction(order: Order, chain_id: int, escrow: str, amount: int) -> UnsignedTransaction:
    """The payer allows the escrow to move atoms of the order's token."""
    return _transaction("approve", chain_id, order.token, approve_calldata(escrow, amount), 0)


def cancel_transaction(order: Order, chain_id: int, escrow: str) -> UnsignedTransaction:
    """The payer forbids further executions and takes back the deposit."""
    return _transaction("cancel", chain_id, escrow, cancel_calldata(order), 0)


def return_expired_transaction(order: Order, chain_id: int, escrow: str) -> UnsignedTransaction:
    """Anyone returns the deposit of an expired order to its payer."""
    return _transaction("return_expired", chain_id, escrow, return_expired_calldata(order), 0)


def _transaction(purpose: str, chain_id: int, to: str, data: bytes, value: int) -> UnsignedTransaction:
    return UnsignedTransaction.model_construct(
        chain_id=chain_id, to=to, data=f"0x{data.hex()}", value=value, purpose=purpose
    )
