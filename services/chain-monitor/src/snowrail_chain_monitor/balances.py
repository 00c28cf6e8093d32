"""Balances and allowances as of now, read from the nodes and kept for at most a few seconds."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from snowrail_chain.config import UnknownChain
from snowrail_chain.rpc import RpcError
from snowrail_chain_monitor.clients import AllowanceQuery, BalanceQuery, ChainReader, Funds
from snowrail_kit.clock import Clock
from snowrail_kit.consumer import Unavailable

_GAS_PRICE = "gas price"


@dataclass(frozen=True, slots=True)
class _Entry:
    atoms: int
    block_number: int
    until: datetime


class Balances:
    """Reads balances, asking a node only for what is not known freshly.

    Args:
        readers: Readers by chain id.
        keep_seconds: How long an answer may be used again.
        max_entries: Most answers kept.
    """

    def __init__(
        self, readers: Mapping[int, ChainReader], clock: Clock, keep_seconds: float, max_entries: int
    ) -> None:
        self._readers = readers
        self._clock = clock
        self._keep = timedelta(seconds=keep_seconds)
        self._max_entries = max_entries
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    async def read(
        self,
        chain_id: int,
        balances: Sequence[BalanceQuery],
        allowances: Sequence[AllowanceQuery],
        is_fresh: bool = False,
    ) -> Funds:
        """Return balances and allowances in the order of the questions.

        A fresh answer uses nothing that was read before. `block_number` of the answer is the oldest block
        that any part of it was read at.

        Raises:
            UnknownChain: The chain is not configured.
            Unavailable: No node answers.
        """
        reader = self._readers.get(chain_id)
        if reader is None:
            raise UnknownChain(f"chain {chain_id} is not configured")
        now = self._clock.now()
        known = {
            query: entry
            for query in (*balances, *allowances, _GAS_PRICE)
            if not is_fresh
            and (entry := self._entries.get((chain_id, query))) is not None
            and entry.until > now
        }
        lacking_balances = list(dict.fromkeys(query for query in balances if query not in known))
        lacking_allowances = list(dict.fromkeys(query for query in allowances if query not in known))
        if lacking_balances or lacking_allowances or _GAS_PRICE not in known:
            try:
                fresh = await reader.funds(lacking_balances, lacking_allowances)
            except RpcError as problem:
                reader.suspect()
                raise Unavailable(f"no node of chain {chain_id} answers: {problem}") from problem
            answers = zip(
                (*lacking_balances, *lacking_allowances, _GAS_PRICE),
                (*fresh.balances, *fresh.allowances, fresh.gas_price),
                strict=True,
            )
            for query, atoms in answers:
                known[query] = _Entry(atoms, fresh.block_number, now + self._keep)
                self._store((chain_id, query), known[query])
        return Funds(
            balances=[known[query].atoms for query in balances],
            allowances=[known[query].atoms for query in allowances],
            gas_price=known[_GAS_PRICE].atoms,
            block_number=min(entry.block_number for entry in known.values()),
        )

    def _store(self, key: Hashable, entry: _Entry) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
