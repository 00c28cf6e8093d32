"""Values that several events carry."""

from pydantic import Field

from snowrail_events.fields import Address, Atoms, Code, Hash32, HexBytes, Part


class UnsignedTransaction(Part):
    """A transaction for the user's own wallet to review, sign and send."""

    chain_id: int
    to: Address
    data: HexBytes
    value: Atoms
    purpose: Code


class EscrowLog(Part):
    """One decoded event of the escrow contract. Fields that an event does not have are None."""

    log_index: int = Field(ge=0)
    name: Code
    """`funded`, `executed`, `execution_failed`, `cancelled` or `returned`."""
    order_hash: Hash32
    payer: Address | None = None
    recipient: Address | None = None
    token: Address | None = None
    amount: Atoms | None = None
    fee: Atoms | None = None
    occurrence: int | None = None
    reason: HexBytes | None = None
