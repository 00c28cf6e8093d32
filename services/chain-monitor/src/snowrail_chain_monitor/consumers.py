"""What chain-monitor listens to."""

from snowrail_chain_monitor.usecases.parts import Parts
from snowrail_chain_monitor.usecases.upkeep import remember_traces
from snowrail_events import SettlementSubmittedV1
from snowrail_kit.consumer import Consumers
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

consumers: Consumers[Parts] = Consumers()


@consumers.on(SettlementSubmittedV1)
async def submitted(deliveries: list[Delivery[SettlementSubmittedV1]], tx: Transaction, _: Parts) -> None:
    """A payment was handed to the network: its transaction's facts continue its trace."""
    await remember_traces(deliveries, tx)
