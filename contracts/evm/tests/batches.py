"""Batch payouts on a chain, as their tests need them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eth_abi.abi import encode

from snowrail_chain.abi import (
    BatchEvent,
    BatchState,
    RowFailed,
    RowPaid,
    batch_state_calldata,
    cancel_batch_calldata,
    decode_batch_log,
    decode_batch_state,
    decode_uint256,
    explain_revert,
    fund_batch_calldata,
    paid_bits_calldata,
    pay_rows_calldata,
    remainder_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.deploy import EXECUTOR_ROLE
from snowrail_chain.manifest import (
    Manifest,
    PayoutRow,
    PayoutTree,
    manifest_digest,
    manifest_hash,
    totals_of,
)

from .chains import CHAIN_ID, START_TIME, Outcome, address_of
from .world import GAS_PRICE_LIMIT, RICH, Person, World, call


class Batch:
    """A manifest with its rows and tree; paid by `payer`, or by an account that `payer` commands."""

    def __init__(
        self,
        payer: Person,
        rows: Sequence[PayoutRow],
        max_fees: dict[str, int] | None = None,
        account: str | None = None,
        **terms: Any,
    ) -> None:
        self.payer = payer
        self.rows = list(rows)
        self.tree = PayoutTree(rows)
        manifest = Manifest(
            payer=account or payer.address,
            root=self.tree.root,
            rows=len(rows),
            valid_after=START_TIME,
            valid_until=START_TIME + 86_400,
            max_gas_price=GAS_PRICE_LIMIT,
            salt=bytes(32),
            totals=totals_of(rows, max_fees or {}),
        )
        self.manifest = replace(manifest, **terms)
        self.hash = manifest_hash(self.manifest)

    def value(self) -> int:
        """Wei that funding takes along."""
        return sum(
            total.amount + total.max_fee for total in self.manifest.totals if total.token == NATIVE_TOKEN
        )

    def run(self, first_index: int, count: int) -> bytes:
        """Call data that pays `count` rows from `first_index` on."""
        rows = self.rows[first_index : first_index + count]
        return pay_rows_calldata(self.manifest, first_index, rows, self.tree.proof(first_index, count))


class Payouts:
    """A `BatchPayout` beside the escrow of a world, with shortcuts that name what happened."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.address = world.deploy("BatchPayout", encode(["address"], [world.admin]))
        grant = call("grantRole(bytes32,address)", EXECUTOR_ROLE, world.executor)
        world.must(world.admin, self.address, grant)

    def provide(self, batch: Batch) -> None:
        """Give the payer what the batch needs, with allowances."""
        for total in batch.manifest.totals:
            amount = total.amount + total.max_fee
            if total.token == NATIVE_TOKEN:
                self.world.chain.set_balance(batch.payer.address, RICH)
            else:
                self.world.mint(total.token, batch.payer.address, amount)
                self.world.approve(total.token, batch.payer.address, amount, self.address)

    def fund(self, batch: Batch) -> Outcome:
        """Provide for and fund a batch, sent by its payer."""
        self.provide(batch)
        data = fund_batch_calldata(batch.manifest)
        return self.world.must(batch.payer.address, self.address, data, value=batch.value())

    def sign(
        self, signer: Person, batch: Batch, *, chain_id: int = CHAIN_ID, contract: str | None = None
    ) -> bytes:
        """The person's signature of the manifest."""
        return signer.sign_digest(manifest_digest(batch.manifest, chain_id, contract or self.address))

    def pay(
        self, batch: Batch, first_index: int, count: int, *, gas_price: int = 1, gas: int = 28_000_000
    ) -> Outcome:
        """One run, by the executor."""
        data = batch.run(first_index, count)
        return self.world.chain.send(self.world.executor, self.address, data, gas_price=gas_price, gas=gas)

    def pay_error(self, batch: Batch, first_index: int, count: int, *, gas_price: int = 1) -> str:
        """Name of the error of a run that has to revert."""
        outcome = self.pay(batch, first_index, count, gas_price=gas_price)
        assert not outcome.success
        return explain_revert(outcome.output).name

    def cancel(self, batch: Batch) -> Outcome:
        """Cancel by the payer."""
        return self.world.must(batch.payer.address, self.address, cancel_batch_calldata(batch.manifest))

    def refusal(self, sender: str, data: bytes, *, value: int = 0) -> str:
        """Name of the error of a call that has to revert."""
        return self.world.refusal(sender, self.address, data, value=value)

    def events(self, outcome: Outcome) -> list[BatchEvent]:
        """Events of the contract, in order."""
        decoded = [decode_batch_log(log, self.address) for log in outcome.logs]
        return [event for event in decoded if event is not None]

    def paid(self, outcome: Outcome) -> list[int]:
        """Indexes of the rows that a call paid."""
        return [event.index for event in self.events(outcome) if isinstance(event, RowPaid)]

    def failed(self, outcome: Outcome) -> dict[int, str]:
        """Names of the errors of the rows that failed, by index."""
        return {
            event.index: explain_revert(event.reason).name
            for event in self.events(outcome)
            if isinstance(event, RowFailed)
        }

    def state(self, batch: Batch) -> BatchState:
        """What the contract remembers of the batch."""
        return decode_batch_state(self.world.chain.read(self.address, batch_state_calldata(batch.hash)))

    def remainder(self, batch: Batch, token: str) -> tuple[int, int]:
        """What is left of the deposit in a token: for recipients and for fees."""
        answer = self.world.chain.read(self.address, remainder_calldata(batch.hash, token))
        return decode_uint256(answer[:32]), decode_uint256(answer[32:])

    def paid_indexes(self, batch: Batch) -> set[int]:
        """Every index whose bit is set, also beyond the manifest."""
        words = len(batch.rows) // 256 + 2
        bits = [
            decode_uint256(self.world.chain.read(self.address, paid_bits_calldata(batch.hash, word)))
            for word in range(words)
        ]
        return {256 * word + bit for word in range(words) for bit in range(256) if bits[word] >> bit & 1}


def rows_of(token: str, count: int, amount: int = 100) -> list[PayoutRow]:
    """Rows of distinct people and amounts."""
    return [PayoutRow(address_of(f"payee {index}"), token, amount + index) for index in range(count)]
