"""The page that the link of a payment request opens in a browser."""

from html import escape
from io import BytesIO

import segno

from snowrail_chat.domain.amounts import show_amount
from snowrail_chat.domain.payment_requests import PaymentRequest, wallet_uri
from snowrail_kit.money import Token

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body{{font:16px system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}}
body{{color:#123;background:#fff}}
code{{overflow-wrap:anywhere}}svg{{width:14rem;height:14rem}}</style></head>
<body><h1>{title}</h1><p>{memo}</p>
<p>To <code>{address}</code></p><p>Type this into Snowrail:</p><p><code>{line}</code></p>
<p>Or pay from a wallet:</p>{qr}<p><a href="{uri}">Open in a wallet</a></p>
<p>Valid until {expires}. Pay only whom you know: anybody can ask, under any words.</p></body></html>
"""


def request_page(request: PaymentRequest, token: Token, line: str) -> str:
    """Return the page of a request.

    Args:
        line: the command that pays it.
    """
    uri = wallet_uri(request, token)
    return _PAGE.format(
        title=escape(f"@{request.handle} asks for {show_amount(request.amount, token)}"),
        memo=escape(request.memo),
        address=escape(request.address),
        line=escape(line),
        qr=_picture(uri),
        uri=escape(uri, quote=True),
        expires=f"{request.expires_at:%Y-%m-%d %H:%M} UTC",
    )


def _picture(text: str) -> str:
    written = BytesIO()
    segno.make(text, error="m", micro=False).save(written, kind="svg", xmldecl=False, border=4)
    return written.getvalue().decode()
