"""What settlement is made of."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from snowrail_chain.config import ChainConfig, ChainRegistry
from snowrail_chain.signer import Signer
from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement.clients import Network, Node
from snowrail_settlement.keys import Keys
from snowrail_settlement.settings import Settings


@dataclass(frozen=True, slots=True)
class SignerRest:
    """A signer gave no signature, and is left alone for a while.

    Attributes:
        failures: How many times in a row.
        until: When it is asked again.
        problem: What it said last.
    """

    failures: int
    until: datetime
    problem: str


@dataclass
class LaneWorker:
    """One lane, and what this process remembers of it between passes; the database knows all that matters.

    Attributes:
        is_resending: Whether everything that is not final is to be sent again, as after a start.
        network, network_at: The latest block, and when it was asked for.
        reconciled_at: When the account was last compared with the rows.
        doubtful_since: Since when a nonce is used without any node knowing our hash, by nonce.
        without_code_until: Payers that are no contracts, and until when that is believed.
        held_until: Until when nothing new is signed because no payment could succeed, and why.
        signer_rest: Until when the signer is not asked, as it gave no signature.
        node_is_up: Whether the node answered at the last pass.
        cannot_begin: Whether the lane has no first nonce yet because the key is in use elsewhere.
    """

    lane_id: UUID
    chain: ChainConfig
    signer: Signer
    node: Node
    is_resending: bool = True
    network: Network | None = None
    network_at: datetime | None = None
    reconciled_at: datetime | None = None
    doubtful_since: dict[int, datetime] = field(default_factory=dict[int, datetime])
    without_code_until: dict[str, datetime] = field(default_factory=dict[str, datetime])
    held_until: datetime | None = None
    held_for: str = ""
    signer_rest: SignerRest | None = None
    node_is_up: bool = True
    cannot_begin: bool = False

    @property
    def labels(self) -> tuple[str, str]:
        """Labels of the lane's metrics."""
        return str(self.chain.chain_id), self.signer.address


@dataclass(frozen=True)
class Parts:
    """What settlement is made of."""

    settings: Settings
    clock: Clock
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    chains: ChainRegistry
    workers: Mapping[UUID, LaneWorker]
    keys: Keys
    wake_lanes: Callable[[Iterable[int]], None]
    """Has the lanes of these chains look for work, once what is being committed now can be seen."""
