"""What settlement listens to."""

from snowrail_events import (
    SettlementExecuteV1,
    TransactionFinalV1,
    TransactionIncludedV1,
    TransactionOrphanedV1,
)
from snowrail_kit.consumer import Consumers
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement.domain.lane import FactStatus
from snowrail_settlement.usecases import commands, facts
from snowrail_settlement.usecases.parts import Parts

consumers: Consumers[Parts] = Consumers()


@consumers.on(SettlementExecuteV1)
async def execute(deliveries: list[Delivery[SettlementExecuteV1]], tx: Transaction, parts: Parts) -> None:
    """Take payments to be executed."""
    parts.wake_lanes(await commands.accept(deliveries, tx, parts.chains))


@consumers.on(TransactionIncludedV1)
async def included(deliveries: list[Delivery[TransactionIncludedV1]], tx: Transaction, parts: Parts) -> None:
    """Transactions are in blocks that are not final."""
    await facts.apply_facts(deliveries, tx, FactStatus.INCLUDED)
    parts.wake_lanes({delivery.event.chain_id for delivery in deliveries})


@consumers.on(TransactionFinalV1)
async def final(deliveries: list[Delivery[TransactionFinalV1]], tx: Transaction, parts: Parts) -> None:
    """Transactions are final."""
    await facts.apply_facts(deliveries, tx, FactStatus.FINAL)
    parts.wake_lanes({delivery.event.chain_id for delivery in deliveries})


@consumers.on(TransactionOrphanedV1)
async def orphaned(deliveries: list[Delivery[TransactionOrphanedV1]], tx: Transaction, parts: Parts) -> None:
    """Blocks of transactions left the chain."""
    await facts.apply_facts(deliveries, tx, FactStatus.ORPHANED)
    parts.wake_lanes({delivery.event.chain_id for delivery in deliveries})
