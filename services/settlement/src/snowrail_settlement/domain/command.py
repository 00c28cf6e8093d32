"""Whether a command to execute can be carried out at all, before anything is stored for a lane."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from snowrail_chain.config import ChainRegistry, UnknownChain, UnknownToken
from snowrail_chain.eip712 import InvalidOrder, Order, order_hash, validate_order
from snowrail_events import SettlementExecuteV1
from snowrail_events.fields import OrderTerms
from snowrail_kit.ids import derived_id
from snowrail_settlement.domain.refusals import Refusal

PURPOSE = "execute"
MAX_SIGNATURE_BYTES = 1_024
"""Contract accounts have longer signatures than the 65 bytes of a key."""


@dataclass(frozen=True, slots=True)
class Command:
    """A payment attempt to be executed.

    Attributes:
        item_id: Follows from payment, attempt and purpose.
        order: The signed terms; nothing when they are malformed.
    """

    item_id: UUID
    payment_id: UUID
    attempt: int
    intent_id: UUID
    user_id: UUID
    chain_id: int
    escrow: str
    order_hash: str
    occurrence: int
    order: Order | None
    signature: bytes


def read_command(event: SettlementExecuteV1) -> Command:
    """Return a command as settlement keeps it."""
    try:
        order = _read_order(event.order)
    except InvalidOrder:
        order = None
    return Command(
        item_id=derived_id("settlement", event.payment_id, event.attempt, PURPOSE),
        payment_id=event.payment_id,
        attempt=event.attempt,
        intent_id=event.intent_id,
        user_id=event.user_id,
        chain_id=event.chain_id,
        escrow=event.escrow,
        order_hash=event.order_hash,
        occurrence=event.occurrence,
        order=order,
        signature=bytes.fromhex(event.signature[2:]),
    )


def _read_order(terms: OrderTerms) -> Order:
    return Order.from_wire(
        {
            "payer": terms.payer,
            "recipient": terms.recipient,
            "token": terms.token,
            "amount": str(terms.amount),
            "validAfter": str(terms.valid_after),
            "validUntil": str(terms.valid_until),
            "maxGasPrice": str(terms.max_gas_price),
            "safetyBuffer": str(terms.safety_buffer),
            "minInterval": str(terms.min_interval),
            "maxExecutions": str(terms.max_executions),
            "maxFee": str(terms.max_fee),
            "salt": terms.salt,
        }
    )


def refusal_of(command: Command, chains: ChainRegistry, now: datetime) -> Refusal | None:
    """Return why a command is refused, or nothing when a lane may take it."""
    if command.order is None:
        return Refusal("invalid_order", "a term is out of range, or an address is not in EIP-55 form", False)
    try:
        chain = chains.chain(command.chain_id)
        chain.token_at(command.order.token)
        validate_order(command.order, chain.escrow)
    except UnknownChain as problem:
        return Refusal("chain_not_supported", str(problem), False)
    except UnknownToken as problem:
        return Refusal("token_not_supported", str(problem), False)
    except InvalidOrder as problem:
        return Refusal("invalid_order", str(problem), False)
    if command.escrow != chain.escrow:
        return Refusal("escrow_unknown", f"the escrow of {chain.name} is {chain.escrow}", False)
    if command.order_hash != f"0x{order_hash(command.order).hex()}":
        return Refusal("invalid_order", "the order hash is not that of the terms", False)
    if command.occurrence >= command.order.max_executions:
        return Refusal("invalid_order", "the order does not have that many occurrences", False)
    if len(command.signature) > MAX_SIGNATURE_BYTES:
        return Refusal("invalid_signature", f"more than {MAX_SIGNATURE_BYTES} bytes", False)
    if is_expired(command.order.valid_until, now):
        return expired(command.order.valid_until)
    return None


def is_expired(valid_until: int, now: datetime) -> bool:
    """Whether the window of an order has closed."""
    return now.timestamp() > valid_until


def expired(valid_until: int) -> Refusal:
    """The refusal of an order whose window has closed before anything was signed."""
    return Refusal("order_expired", f"the order was valid until {valid_until} (Unix time)", False)
