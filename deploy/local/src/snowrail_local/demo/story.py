"""The story: what two people do, and what has to come of it. Every deviation is an error."""

from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from snowrail_client import Reply
from snowrail_local.demo.chain import Chain, Token
from snowrail_local.demo.person import Person, expect
from snowrail_local.demo.screen import Screen, Style

PAID_CRO = "7.5"
PAID_USDC = "25"
CANCELLED_CRO = "3"


@dataclass(frozen=True)
class Cast:
    """Who plays, where, and before whom."""

    alice: Person
    bob: Person
    chain: Chain
    screen: Screen


async def play(cast: Cast) -> None:
    """Play every scene.

    Raises:
        Deviation: a step did not end as it should.
        SnowrailError, TimeoutError, aiohttp.ClientError: the platform did not answer.
    """
    cast.screen.scene("Two people sign in with their wallets")
    await cast.alice.enter()
    await cast.bob.enter()
    tokens = [cast.chain.token("CRO"), cast.chain.token("USDC")]
    before = [await cast.bob.balance(token) for token in tokens]
    await look_around(cast)
    await pay_native(cast)
    await read_notifications(cast)
    await pay_token(cast)
    await be_refused(cast)
    await cancel(cast)
    await look_back(cast, tokens, before)


async def look_around(cast: Cast) -> None:
    """Ask what there is to type, and what is in the wallet."""
    alice, screen = cast.alice, cast.screen
    screen.scene("What can be typed")
    help_card = await alice.say("/help")
    expect(help_card.card.kind == "help" and "/pay <to> <amount>" in help_card.text, "/help does not help")
    found = await alice.client.request("GET", "/api/chat/autocomplete", query={"text": "/pa"})
    screen.typed(alice.name, "/pa⇥")
    for item in found["items"]:
        screen.note(f"{item['insert']}   {item['detail']}")
    expect([item["insert"] for item in found["items"]] == ["/pay"], "/pa is not completed to /pay")
    wallet = await alice.say("/wallet")
    expect(wallet.card.kind == "wallet", "/wallet shows no wallet")
    expect(wallet.card.row("Address") == alice.address, "/wallet shows somebody else's wallet")


async def pay_native(cast: Cast) -> None:
    """Pay in the chain's own coin: one transaction by the payer's wallet, which is the authorisation."""
    cast.screen.scene("A payment in CRO: typed, signed in the wallet, cleared on the chain", pictured=True)
    reply = await cast.alice.pay(cast.bob.handle, f"{PAID_CRO} CRO")
    await complete(cast, reply, ["Sign"])


async def pay_token(cast: Cast) -> None:
    """Pay in an ERC-20 token: an approval where there is none, then a signature that costs nothing."""
    cast.screen.scene("A payment in USDC: one approval, one signature")
    reply = await cast.alice.pay(cast.bob.handle, f"{PAID_USDC} USDC")
    labels = [action.label for action in reply.card.signing_actions]
    expected = ["Approve USDC", "Sign"] if "Approve USDC" in labels else ["Sign"]
    intent_id = await complete(cast, reply, expected)
    shown = await cast.alice.say(f"/status {intent_id[:8]}")
    expect(shown.card.status == "final", "/status does not show the payment as final")


async def complete(cast: Cast, reply: Reply, labels: list[str]) -> str:
    """Sign what a card asks for, and wait until the payment is final for both; return its id."""
    alice, bob = cast.alice, cast.bob
    intent_id = await alice.intent_of(reply)
    expect(bob.address in reply.text, "the card does not show all of the recipient's address")
    asked = [action.label for action in reply.card.signing_actions]
    expect(asked == labels, f"the wallet is asked for {asked} instead of {labels}")
    for action in reply.card.signing_actions:
        await alice.sign(action)
    await alice.until("intent:executed", lambda data: data["intent_id"] == intent_id)
    await alice.until(
        "intent:updated", lambda data: data["intent_id"] == intent_id and data["status"] == "completed"
    )
    await bob.until("payment_processed", lambda data: data["intent_id"] == intent_id)
    await alice.until(
        "chat:message", lambda data: data["card"]["status"] == "final" and intent_id[:8] in data["text"]
    )
    await bob.until(
        "notification",
        lambda data: data["type"] == "payment_received" and data["data"]["intent_id"] == intent_id,
    )
    return intent_id


async def read_notifications(cast: Cast) -> None:
    """Look at the recipient's notifications, read them, and look again."""
    bob, screen = cast.bob, cast.screen
    screen.scene("What the recipient was told, and that it was read")
    newest = await list_notifications(cast)
    expect(newest["type"] == "payment_received" and not newest["read"], "the payment is not the newest news")
    await bob.client.connection.mark_read()
    told = await bob.until("notification:read", lambda data: newest["id"] in data["ids"])
    expect(told["unread"] == 0, "something is left unread")
    newest = await list_notifications(cast)
    expect(newest["read"], "the notification does not stay read")


async def list_notifications(cast: Cast) -> dict[str, object]:
    """Show the newest notifications, and return the newest."""
    path = "/api/notification/notifications"
    page = await cast.bob.client.request("GET", path, query={"limit": "3"})
    cast.screen.typed(cast.bob.name, f"GET {path}")
    for item in page["items"]:
        mark = "read  " if item["read"] else "unread"
        style = Style.PLAIN if item["read"] else Style.TITLE
        cast.screen.note(f"{mark} {item['priority']:<9}{item['title']}: {item['message']}", style)
    expect(page["items"], "there are no notifications")
    return dict(page["items"][0])


async def be_refused(cast: Cast) -> None:
    """Try what must not go through; nothing is signed and nothing moves."""
    alice, bob = cast.alice, cast.bob
    cast.screen.scene("What is refused, and why")
    cro = cast.chain.token("CRO")
    too_much = await alice.balance(cro) // 10**cro.decimals + 1
    for recipient, amount, code in (
        (look_alike_of(bob.address), "5 CRO", "lookalike_address"),
        (mistyped(bob.address), "5 CRO", "address_checksum_wrong"),
        (bob.handle, f"{too_much} CRO", "insufficient_funds"),
    ):
        reply = await alice.say(f"/pay {recipient} {amount}")
        expect(reply.card.status == code, f"expected {code}, but was told {reply.card.status}")
        expect(not reply.card.signing_actions, f"the wallet is asked to sign in spite of {code}")


def look_alike_of(address: str) -> str:
    """Return another address whose first and last six digits are the same."""
    digits = address[2:].lower()
    middle = "".join(f"{15 - int(digit, 16):x}" for digit in digits[6:-6])
    return to_checksum_address(f"0x{digits[:6]}{middle}{digits[-6:]}")


def mistyped(address: str) -> str:
    """Return an address with its last digit wrong."""
    return address[:-1] + ("1" if address[-1] == "0" else "0")


async def cancel(cast: Cast) -> None:
    """Fund a payment, change one's mind, and get the money back from the escrow."""
    alice, screen = cast.alice, cast.screen
    screen.scene("A funded payment is cancelled, and the money comes back")
    reply = await alice.pay(cast.bob.handle, f"{CANCELLED_CRO} CRO")
    intent_id = await alice.intent_of(reply)
    path = f"/api/intents/{intent_id}/pause"
    screen.typed(alice.name, f"POST {path}")
    paused = await alice.client.request("POST", path)
    expect(paused["paused"], "the payment is not paused")
    screen.note("paused: it can be funded, and does not execute")
    await alice.sign(reply.card.action("Sign"))
    await alice.until(
        "notification",
        lambda data: data["type"] == "deposit_confirmed" and data["data"]["intent_id"] == intent_id,
    )
    token = cast.chain.token("CRO")
    before = await alice.balance(token)
    offered = await alice.say(f"/cancel {intent_id[:8]}")
    await alice.sign(offered.card.action("Cancel on chain"))
    returned = await alice.until(
        "intent:updated", lambda data: data["intent_id"] == intent_id and bool(data.get("refunded"))
    )
    deposit = token.atoms(CANCELLED_CRO)
    expect(int(returned["refunded"]) == deposit, f"{returned['refunded']} atoms were returned")
    await alice.until(
        "notification",
        lambda data: data["type"] == "withdrawal_ready" and data["data"]["intent_id"] == intent_id,
    )
    await alice.until(
        "chat:message", lambda data: intent_id[:8] in data["text"] and "Returned" in data["text"]
    )
    gained = await alice.balance(token) - before
    expect(0 < gained <= deposit, f"the wallet holds {token.text(gained)} more after the cancellation")
    screen.note(
        f"on the chain the wallet holds {token.text(gained)} more: the deposit less the gas", Style.GOOD
    )


async def look_back(cast: Cast, tokens: list[Token], before: list[int]) -> None:
    """Show the history, and compare the recipient's balances on the chain with what was paid."""
    alice, bob, screen = cast.alice, cast.bob, cast.screen
    screen.scene("What is left of it")
    history = await alice.say("/history 5")
    for paid in (f"-{PAID_CRO} CRO", f"-{PAID_USDC} USDC"):
        expect(paid in history.text, f"/history does not show {paid}")
    screen.scene(f"Balances of {bob.handle}, read from the chain", pictured=True)
    for token, amount, held in zip(tokens, (PAID_CRO, PAID_USDC), before, strict=True):
        holds = await bob.balance(token)
        gained = token.text(holds - held)
        screen.note(f"{token.text(held)}  →  {token.text(holds)}   (+{gained})", Style.GOOD)
        expect(holds - held == token.atoms(amount), f"{gained} arrived instead of {amount}")
