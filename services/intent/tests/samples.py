"""Intents, requests and circumstances with plausible values, of which a test names only what matters."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from snowrail_chain.config import ChainConfig, TokenConfig
from snowrail_chain.eip712 import order_hash
from snowrail_intent.domain.intents import Intent, Pace
from snowrail_intent.domain.limits import LevelLimits, Spent, TokenLimit
from snowrail_intent.domain.orders import OrderPolicy
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.requests import Account, Circumstances, CreateRequest, create_intent
from snowrail_intent.domain.states import Status
from snowrail_testkit.escrow import PAYER_KEYS, Payer

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
USER = UUID(int=1)
PAYER = Payer(PAYER_KEYS[0])
STRANGER = Payer(PAYER_KEYS[1])
RECIPIENT = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
CRO = TokenConfig(symbol="CRO", address="0x0000000000000000000000000000000000000000", decimals=18)
USDC = TokenConfig(symbol="USDC", address="0x5FbDB2315678afecb367f032d93F642f64180aa3", decimals=6)


def a_chain(chain_id: int = 31337) -> ChainConfig:
    """Return a chain with the native coin and one token."""
    return ChainConfig(
        chain_id=chain_id,
        name=f"Chain {chain_id}",
        rpc_urls=("http://127.0.0.1:1",),
        confirmations=2,
        block_time_seconds=1,
        escrow="0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
        tokens=(CRO, USDC),
    )


CHAIN = a_chain()
PACE = Pace(
    first_seconds=2,
    last_seconds=60,
    margin_seconds=3,
    settle_seconds=15,
    grace_seconds=3_600,
    warning_seconds=86_400,
    price_stale_seconds=900,
)
POLICY = OrderPolicy(
    lifetime=timedelta(days=1),
    clock_skew=timedelta(seconds=300),
    gas_ceiling_percent=500,
    gas_ceiling_least_wei=10,
)


def a_request(token: TokenConfig = USDC, **changes: Any) -> CreateRequest:
    """Return a request for 1,000 atoms, any of its values replaced."""
    request = CreateRequest(
        intent_id=UUID(int=100),
        user_id=USER,
        payer=PAYER.address,
        recipient=RECIPIENT,
        recipient_label="alice",
        token=f"31337:{token.address}",
        amount=1_000,
        not_before=None,
        acknowledged=frozenset(),
        traceparent=None,
    )
    return replace(request, **changes)


def circumstances(token: TokenConfig = USDC, **changes: Any) -> Circumstances:
    """Return circumstances in which a request is fine, any of them replaced."""
    seen = Circumstances(
        now=NOW,
        account=Account(USER, PAYER.address, 0),
        chain=CHAIN,
        token=token,
        balance=5_000,
        allowance=0,
        promised=0,
        obligations=0,
        gas_price=7,
        gas=150_000,
        is_repeated=False,
        paid_recipients=frozenset(),
        limits=LevelLimits(
            gas_per_day=1_000_000,
            tokens={
                f"31337:{known.address}": TokenLimit(
                    per_transaction=10_000, per_day=20_000, per_month=100_000
                )
                for known in (CRO, USDC)
            },
        ),
        spent=Spent(),
        farthest=timedelta(days=366),
        most_occurrences=1_000,
        priced_tokens=frozenset({"CRO", "USDC"}),
    )
    return replace(seen, **changes)


def an_intent(token: TokenConfig = USDC, **changes: Any) -> Intent:
    """Return an intent that waits for its authorisation, any of its values replaced.

    Values of its order are given as `order_<name>`.
    """
    made = create_intent(a_request(token), circumstances(token), POLICY, PACE)
    assert not isinstance(made, Refusal)
    names = [name for name in changes if name.startswith("order_") and name != "order_hash"]
    terms = {name.removeprefix("order_"): changes.pop(name) for name in names}
    if terms:
        order = replace(made.order, **terms)
        made = replace(made, order=order, order_hash=order_hash(order))
    return replace(made, **changes)


def a_signed_intent(**changes: Any) -> Intent:
    """Return an intent in a token that its payer has signed, armed unless another status is given."""
    values: dict[str, Any] = {"status": Status.ARMED, "signature": bytes(65), "approval_amount": 0}
    return an_intent(**{**values, **changes})
