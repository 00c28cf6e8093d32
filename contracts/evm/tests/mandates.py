"""Spending mandates on a chain, as their tests need them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eth_abi.abi import encode

from snowrail_chain.abi import (
    MandateEvent,
    MandateState,
    decode_mandate_log,
    decode_mandate_state,
    decode_uint256,
    explain_revert,
    mandate_state_calldata,
    prepaid_calldata,
    spend_calldata,
)
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.mandate import Mandate, RecipientList, mandate_digest, mandate_hash

from .chains import CHAIN_ID, START_TIME, Outcome, address_of
from .world import GAS_PRICE_LIMIT, Person, World, person

DELEGATE = address_of("delegate")
LISTED = [address_of("bob"), address_of("dave"), address_of("erin")]
LIST = RecipientList(LISTED)


class Mandates:
    """A `SpendingMandate` beside the escrow of a world, with shortcuts that name what happened."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.address = world.deploy("SpendingMandate", encode(["address"], [world.admin]))
        world.chain.set_balance(DELEGATE, 10**24)

    def mandate(self, payer: str, token: str = NATIVE_TOKEN, **terms: Any) -> Mandate:
        """A mandate for the listed recipients, open for a day of hours, with any term replaced."""
        mandate = Mandate(
            payer=payer,
            delegate=DELEGATE,
            token=token,
            per_payment=100,
            per_period=250,
            total=600,
            period=3_600,
            valid_after=START_TIME,
            valid_until=START_TIME + 86_400,
            max_gas_price=GAS_PRICE_LIMIT,
            max_fee=0,
            recipients=LIST.root,
            any_recipient=False,
            unlisted_per_payment=0,
            unlisted_per_period=0,
            salt=bytes(32),
        )
        return replace(mandate, **terms)

    def sign(
        self, signer: Person, mandate: Mandate, *, chain_id: int = CHAIN_ID, contract: str | None = None
    ) -> bytes:
        """The person's signature of the mandate."""
        return signer.sign_digest(mandate_digest(mandate, chain_id, contract or self.address))

    def spend(
        self,
        mandate: Mandate,
        amount: int,
        *,
        number: int = 0,
        recipient: str = LISTED[0],
        proof: Sequence[bytes] | None = None,
        signature: bytes | None = None,
        sender: str = DELEGATE,
        gas_price: int = 1,
    ) -> Outcome:
        """A payment, by default signed by Alice and proven where the recipient is listed."""
        if proof is None:
            proof = LIST.proof(recipient) if recipient in LISTED else []
        if signature is None:
            signature = self.sign(person("alice"), mandate)
        data = spend_calldata(mandate, number.to_bytes(32, "big"), recipient, amount, proof, signature)
        return self.world.chain.send(sender, self.address, data, gas_price=gas_price)

    def spend_error(self, mandate: Mandate, amount: int, **details: Any) -> str:
        """Name of the error of a payment that has to revert."""
        outcome = self.spend(mandate, amount, **details)
        assert not outcome.success
        return explain_revert(outcome.output).name

    def events(self, outcome: Outcome) -> list[MandateEvent]:
        """Events of the contract, in order."""
        decoded = [decode_mandate_log(log, self.address) for log in outcome.logs]
        return [event for event in decoded if event is not None]

    def state(self, mandate: Mandate) -> MandateState:
        """What the contract remembers of the mandate."""
        answer = self.world.chain.read(self.address, mandate_state_calldata(mandate_hash(mandate)))
        return decode_mandate_state(answer)

    def prepaid(self, payer: str) -> int:
        """Prepaid wei."""
        return decode_uint256(self.world.chain.read(self.address, prepaid_calldata(payer)))
