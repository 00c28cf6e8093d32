"""Which payments share a transaction, and what it may cost. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from snowrail_chain.abi import Execution
from snowrail_chain.lane import FeePolicy, count_that_fit, least_ceiling
from snowrail_settlement.domain.refusals import Patience, Refusal, explain_refusal, patience_with

OVERHEAD_GAS = 21_000 + 470_000
"""Of a transaction, and what `executeMany` demands to be left over before it tries an item."""
LARGEST_ITEM_GAS = 400_000 + 70_000
"""What the escrow allows an item, and what calling it and telling of its failure costs on top."""
_ITEM_BYTES_WITHOUT_SIGNATURE = 16 * 32


@dataclass(frozen=True, slots=True)
class Candidate:
    """A payment that may share a transaction.

    Attributes:
        gas_ceiling: Wei per gas that its payer allows.
        payer_is_contract: Whether the payer's own code checks the signature.
    """

    item_id: UUID
    attempt: int
    execution: Execution
    gas_ceiling: int
    payer_is_contract: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a transaction: its gas limit, the bytes of its call data, gas planned at a first attempt."""

    gas: int
    bytes: int
    item_gas: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of candidates.

    Attributes:
        aboard: They share the next transaction, in this order.
        refused: They fail; nothing was signed for them.
        waiting: They are looked at again later, with the code of what they wait for.
        hold: Why no payment can succeed at present, if so; then nobody is aboard.
    """

    aboard: list[Candidate]
    refused: list[tuple[UUID, Refusal]]
    waiting: list[tuple[UUID, str]]
    hold: str | None = None


GAS_TOO_EXPENSIVE = "gas_price_above_limit"


def affordable(
    candidates: Sequence[Candidate], base_fee: int, policy: FeePolicy
) -> tuple[list[Candidate], list[tuple[UUID, str]]]:
    """Divide candidates into those whose ceiling allows for the present base fee, and those that wait."""
    least = least_ceiling(base_fee, policy)
    able = [candidate for candidate in candidates if candidate.gas_ceiling >= least]
    waiting = [
        (candidate.item_id, GAS_TOO_EXPENSIVE) for candidate in candidates if candidate.gas_ceiling < least
    ]
    return able, waiting


def judge_simulation(candidates: Sequence[Candidate], reverts: Sequence[bytes | None]) -> Plan:
    """Divide candidates by how their simulated executions ended.

    Args:
        candidates: What was simulated.
        reverts: Revert data of each; nothing where it did not revert.
    """
    plan = Plan([], [], [])
    for candidate, data in zip(candidates, reverts, strict=True):
        if data is None:
            plan.aboard.append(candidate)
            continue
        refusal, patience = explain_refusal(data), patience_with(data)
        if patience is Patience.HOLD:
            return Plan([], [], [], hold=refusal.code)
        if patience is Patience.WAIT:
            plan.waiting.append((candidate.item_id, refusal.code))
        else:
            plan.refused.append((candidate.item_id, refusal))
    return plan


def gas_of(candidate: Candidate, limits: Limits) -> int:
    """Gas planned for a payment: what is usual, or all it can use where that is not certain to do.

    A payer that is a contract may use it all; and after a failed attempt nothing is to be left to chance.
    """
    is_usual = candidate.attempt <= 1 and not candidate.payer_is_contract
    return limits.item_gas if is_usual else LARGEST_ITEM_GAS


def bytes_of(candidate: Candidate) -> int:
    """Bytes of a payment in the call data, padding included."""
    return _ITEM_BYTES_WITHOUT_SIGNATURE + len(candidate.execution.signature) + 31


def first_that_fit(candidates: Sequence[Candidate], limits: Limits) -> list[Candidate]:
    """Return the first candidates that fit into one transaction; at least one, however large."""
    count = min(
        count_that_fit([gas_of(item, limits) for item in candidates], limits.gas - OVERHEAD_GAS),
        count_that_fit([bytes_of(item) for item in candidates], limits.bytes),
    )
    return list(candidates[: max(count, 1)])


def gas_limit_of(aboard: Sequence[Candidate], limits: Limits) -> int:
    """Return the gas limit of a transaction."""
    return OVERHEAD_GAS + sum(gas_of(candidate, limits) for candidate in aboard)
