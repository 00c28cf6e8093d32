"""The catalogue is whole, and words are right."""

from itertools import product
from pathlib import Path

import pytest

from snowrail_chain.config import ChainRegistry
from snowrail_notification.domain import wording
from snowrail_notification.domain.intents import UNSEEN, IntentState, News, news

NATIVE = "0x" + "0" * 40
CHAINS = """{"chains": [{"chain_id": 31337, "name": "dev", "rpc_urls": ["http://127.0.0.1:1"],
 "confirmations": 1,
 "block_time_seconds": 1, "explorer_url": null, "start_block": 0,
 "escrow": "0x5FbDB2315678afecb367f032d93F642f64180aa3", "executors": [],
 "tokens": [{"symbol": "CRO", "address": "0x0000000000000000000000000000000000000000", "decimals": 18,
             "name": "Cronos"}]}]}"""


@pytest.fixture
def registry(tmp_path: Path) -> ChainRegistry:
    file = tmp_path / "chains.json"
    file.write_text(CHAINS)
    return ChainRegistry.load(file)


def test_amounts_have_their_symbol_where_it_is_known(registry: ChainRegistry) -> None:
    assert wording.amount_text(registry, f"31337:{NATIVE}", 15 * 10**17) == "1.5 CRO"
    assert wording.amount_text(registry, f"1:{NATIVE}", 5) == f"5 atoms of 1:{NATIVE}"


def test_people_and_failures_have_names() -> None:
    assert wording.party(NATIVE, "alice") == "@alice"
    assert wording.party(NATIVE, None) == "0x0000…0000"
    assert "expired" in wording.failure_text("order_expired")
    assert wording.failure_text("some_code") == "some code"


AWAITING = IntentState(1, "awaiting_authorisation", None)
REASONS = (None, "gas_price_above_ceiling", "payment_in_review", "deposit_to_return", "expired")
STATUSES = (
    *("draft", "awaiting_authorisation", "awaiting_funds", "awaiting_approval", "armed", "due", "delayed"),
    *("completed", "cancelled", "expired", "failed"),
)


@pytest.mark.parametrize(
    ("before", "after", "returns", "refunded", "expected"),
    [
        (AWAITING, IntentState(2, "due", None), False, False, [News.READY]),
        (UNSEEN, IntentState(3, "armed", None), False, False, [News.READY]),
        (IntentState(2, "armed", None), IntentState(3, "due", None), False, False, []),
        (AWAITING, IntentState(2, "delayed", "gas"), False, False, [News.READY, News.DELAYED]),
        (AWAITING, IntentState(2, "delayed", "earlier_payments"), False, False, [News.READY]),
        (AWAITING, IntentState(2, "awaiting_approval", "approval_missing"), False, False, [News.DELAYED]),
        (AWAITING, IntentState(2, "awaiting_funds", None), False, False, [News.FUNDS_MISSING]),
        (IntentState(2, "due", None), IntentState(3, "due", "outcome_unknown"), False, False, [News.DELAYED]),
        (IntentState(2, "due", None), IntentState(3, "expired", "expired"), True, False, [News.RETURNABLE]),
        (IntentState(2, "due", None), IntentState(3, "expired", "expired"), False, False, []),
        (IntentState(2, "due", None), IntentState(3, "cancelled", None), True, True, [News.RETURNED]),
        (AWAITING, IntentState(2, "cancelled", "deposit_to_return"), False, False, [News.RETURNABLE]),
    ],
)
def test_what_is_news_of_an_intent(
    before: IntentState, after: IntentState, returns: bool, refunded: bool, expected: list[News]
) -> None:
    assert news(before, after, returns, refunded) == expected


def test_nothing_is_news_twice_or_late() -> None:
    for status, reason in product(STATUSES, REASONS):
        state = IntentState(5, status, reason)
        assert news(state, state, True, True) == []
        assert news(state, IntentState(4, "due", None), True, True) == []
        assert news(state, IntentState(6, status, reason), True, False) == []
