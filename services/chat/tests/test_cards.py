"""How cards look: on the wire, as text, and what the card of a payment says in every case."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from snowrail_chain.config import ChainRegistry
from snowrail_chat.cards.answers import error_card, underline
from snowrail_chat.cards.lists import wallet_card
from snowrail_chat.cards.payment import payment_card
from snowrail_chat.cards.wording import duration, explain
from snowrail_chat.domain.cards import Action, Card, Progress, Row, Step, StepState, Style
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.fiat import Price
from snowrail_chat.domain.quotes import Quotes
from snowrail_chat.domain.views import IntentView
from snowrail_events import IntentCreateV1
from snowrail_testkit import Builder
from snowrail_testkit.fixed import START_OF_TIME

from .support import BOB, CHAIN_ID, CHAINS, NATIVE, USDC, created

CHAIN_REGISTRY = ChainRegistry.model_validate(CHAINS)
CARD_ID = UUID(int=7)
QUOTES = Quotes(
    chains=CHAIN_REGISTRY,
    chain=CHAIN_REGISTRY.chain(CHAIN_ID),
    prices={"CRO": Price(Decimal("0.1"), "USD", START_OF_TIME)},
    gas_prices={CHAIN_ID: 2 * 10**10},
    now=START_OF_TIME,
    fresh=timedelta(minutes=2),
)


def view(token: str = NATIVE, **changes: object) -> IntentView:
    """Return an intent as it is known after its creation, with changes."""
    build = Builder()
    command = build(IntentCreateV1, token=token, recipient=BOB, amount=10**18)
    event = created(build, command)
    known = IntentView(
        intent_id=event.intent_id,
        user_id=event.user_id,
        version=1,
        status=event.status,
        reason=None,
        payer=event.payer,
        recipient=event.recipient,
        recipient_label="",
        token=token,
        amount=event.amount,
        order_hash=event.order_hash,
        expires_at=event.expires_at,
        created_at=event.changed_at,
        changed_at=event.changed_at,
        order=event.order,
        order_terms_hash=event.order_hash,
        escrow=event.escrow,
        chain_id=event.chain_id,
        authorisation=event.authorisation,
        transaction=event.transaction,
        approval=None,
        next_step=None,
        estimated_gas=event.estimated_gas,
        estimated_gas_price=event.estimated_gas_price,
        fee_payer="platform",
        refunded=None,
        card_version=1,
        is_new_payee=False,
        payment=None,
    )
    return replace(known, **changes)  # pyright: ignore[reportArgumentType]


def rows(card: Card) -> dict[str, str]:
    return {row.label: row.value for row in card.rows}


def test_a_card_is_the_same_on_the_wire_and_as_text() -> None:
    card = Card(
        CARD_ID,
        "payment",
        "Pay 1 CRO",
        "awaiting_authorisation",
        rows=(Row("To", "bob"), Row("Line", "first\nsecond", mono=True)),
        progress=Progress(1, 2),
        steps=(Step("Prepared", StepState.DONE), Step("Signed", StepState.CURRENT)),
        actions=(Action("Sign", "/confirm 1a2b3c4d", Style.PRIMARY, {"kind": "typed_data"}),),
        notes=("Look twice.",),
        version=3,
    )
    assert card.text == (
        "Pay 1 CRO [awaiting authorisation]\n"
        "  To             bob\n"
        "  Line           first\n"
        "                 second\n"
        "  Progress       1 of 2\n"
        "  [x] Prepared\n"
        "  [>] Signed\n"
        "  Look twice.\n"
        "  > Sign: /confirm 1a2b3c4d"
    )
    wire = card.wire
    assert wire["progress"] == {"done": 1, "total": 2}
    assert wire["rows"][1] == {"label": "Line", "value": "first\nsecond", "mono": True}
    assert wire["actions"][0]["sign"] == {"kind": "typed_data"}
    assert (wire["card_id"], wire["version"], wire["retry_after_seconds"]) == (str(CARD_ID), 3, None)


def test_what_is_to_be_typed_is_shown_once() -> None:
    assert Action("/help", "/help").to_text() == "/help"
    assert Action("Send", "/pay ", draft=True).to_text() == "Send: /pay …"


def test_the_newest_gas_price_is_used_and_somebody_pays() -> None:
    assert rows(payment_card(view(), QUOTES))["Network fee"] == "0.0026 CRO (< 0.01 USD), paid by Snowrail"
    paid = rows(payment_card(view(fee_payer="payer"), QUOTES))
    assert paid["Network fee"].endswith("paid by you")
    assert paid["Total"] == "1.0026 CRO (≈ 0.10 USD)"
    token = rows(payment_card(view(f"{CHAIN_ID}:{USDC}", fee_payer="payer"), QUOTES))
    assert token["Total"] == "1000000000000 USDC (price unavailable) plus the network fee"


def test_a_platform_fee_is_named_with_its_bound() -> None:
    known = view()
    order = known.order.model_copy(update={"max_fee": 10**16})
    shown = rows(payment_card(replace(known, order=order), QUOTES))
    assert shown["Platform fee"] == "at most 0.01 CRO (< 0.01 USD), only on success"
    assert shown["Total"] == "1.01 CRO (≈ 0.10 USD)"


def test_what_is_not_configured_any_more_is_shown_in_atoms() -> None:
    shown = payment_card(view("1:" + NATIVE.partition(":")[2], chain_id=1, status="completed"), QUOTES)
    assert rows(shown)["Amount"].startswith("1000000000000000000 atoms of 1:0x")
    assert "Network fee" not in rows(shown)


def test_nothing_is_signed_twice_while_a_deposit_becomes_final() -> None:
    confirming = payment_card(view(reason="funding_confirming"), QUOTES)
    assert [action.label for action in confirming.actions] == ["Edit", "Cancel"]
    partial = payment_card(view(reason="funding_partial"), QUOTES)
    assert [action.label for action in partial.actions] == ["Deposit the rest", "Edit", "Cancel"]


def test_an_ended_intent_offers_what_its_wallet_can_take_back() -> None:
    expired = payment_card(view(status="expired", reason="expired"), QUOTES)
    assert [action.label for action in expired.actions] == ["Withdraw deposit"]
    cancelled = payment_card(view(status="cancelled", reason="cancelled_by_user"), QUOTES)
    assert cancelled.actions == ()
    held = payment_card(view(status="cancelled", reason="deposit_to_return"), QUOTES)
    assert [action.label for action in held.actions] == ["Withdraw deposit"]


def test_an_error_underlines_its_word_even_in_a_long_line() -> None:
    assert underline("/pay @bob 1,5", 10, 3) == "/pay @bob 1,5\n          ^^^"
    assert underline("/pay", 5, 0) == "/pay\n     ^"
    assert underline("/a\tb", 3, 1) == "/a b\n   ^"
    shown, mark = underline("x" * 300 + "BAD" + "y" * 300, 300, 3).split("\n")
    assert len(shown) == 102
    assert shown[mark.index("^") : len(mark)] == "BAD"
    shown, mark = underline("/confirm " + "z" * 500, 9, 500).split("\n")
    assert len(mark) <= len(shown)


def test_an_error_offers_whole_lines() -> None:
    error = CommandError("x", "No.", 0, 1, ("/pay " + "a" * 80, "/help"))
    card = error_card(CARD_ID, "/p", error)
    assert [(action.style, action.command) for action in card.actions] == [
        (Style.PRIMARY, "/pay " + "a" * 80),
        (Style.SECONDARY, "/help"),
    ]
    assert len(card.actions[0].label) == 60
    assert error_card(CARD_ID, " ", error).rows == ()


def test_the_total_of_a_wallet_says_what_it_leaves_out() -> None:
    balances = {NATIVE: 10 * 10**18, f"{CHAIN_ID}:{USDC}": 5_000_000}
    shown = rows(wallet_card(CARD_ID, BOB, balances, (), QUOTES))
    assert shown["Total"] == "≈ 1.00 USD, without tokens that have no price"
    assert shown["USDC"] == "5 USDC (price unavailable)"


def test_words_for_reasons_and_durations() -> None:
    assert explain("never_heard_of") == "Never heard of."
    assert explain("insufficient_funds") == "Your wallet holds too little of the token."
    assert [duration(seconds) for seconds in (0.2, 5, 130, 7_300)] == ["1 s", "5 s", "2 min 10 s", "2 h"]
