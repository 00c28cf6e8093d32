"""Cards of payment requests."""

from collections.abc import Sequence
from uuid import UUID

from snowrail_chat.domain.cards import Action, Card, Row, Style
from snowrail_chat.domain.payment_requests import (
    PaymentRequest,
    link_of,
    pay_line,
    qr_code,
    wallet_uri,
)
from snowrail_chat.domain.quotes import Quotes


def request_card(card_id: UUID, request: PaymentRequest, origin: str, quotes: Quotes) -> Card:
    """Return the card of a new request: its link, and what wallets scan."""
    token = quotes.token(request.token)
    assert token is not None, "it was made in a configured token"
    uri = wallet_uri(request, token)
    rows = [
        Row("Amount", quotes.valued(request.amount, request.token)),
        *([Row("Memo", request.memo)] if request.memo else []),
        Row("To", request.address, mono=True),
        Row("Link", link_of(request.code, origin), mono=True),
        Row("Wallet link", uri, mono=True),
        Row("Valid until", quotes.moment(request.expires_at)),
    ]
    return Card(
        card_id=card_id,
        kind="request",
        title=f"Request for {quotes.amount(request.amount, request.token)}",
        status="open",
        rows=tuple(rows),
        actions=(Action("All requests", "/requests"),),
        notes=(
            "Send the link to whoever pays you; it prepares the payment here.",
            "The code is for wallets, which pay you directly.",
        ),
        qr=qr_code(uri),
    )


def requests_card(card_id: UUID, requests: Sequence[PaymentRequest], origin: str, quotes: Quotes) -> Card:
    """Return the card of a user's requests."""
    return Card(
        card_id=card_id,
        kind="request",
        title=f"{len(requests)} open requests" if requests else "No open requests",
        rows=tuple(
            Row(
                quotes.amount(request.amount, request.token),
                "\n".join(
                    part
                    for part in (
                        request.memo,
                        link_of(request.code, origin),
                        f"valid until {quotes.moment(request.expires_at)}",
                    )
                    if part
                ),
            )
            for request in requests
        ),
        actions=(Action("Ask for a payment", "/request ", draft=True),),
    )


def open_request_card(card_id: UUID, request: PaymentRequest, quotes: Quotes) -> Card:
    """Return the card that shows somebody what they are asked for."""
    token = quotes.token(request.token)
    assert token is not None, "the caller has looked"
    return Card(
        card_id=card_id,
        kind="request",
        title=f"@{request.handle} asks for {quotes.amount(request.amount, request.token)}",
        status="open",
        rows=(
            Row("Amount", quotes.valued(request.amount, request.token)),
            *((Row("Memo", request.memo),) if request.memo else ()),
            Row("To", request.address, mono=True),
            Row("Valid until", quotes.moment(request.expires_at)),
        ),
        actions=(Action("Pay", pay_line(request, token), Style.PRIMARY, draft=True),),
        notes=("Pay only whom you know: anybody can ask, under any words.",),
    )
