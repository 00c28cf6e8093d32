"""The HTTP interface: posting, reading, completing."""

from typing import Any
from uuid import uuid4

import pytest

from snowrail_chat.domain.registry import COMMANDS
from snowrail_events import FeedEventV1, IntentCreateV1
from snowrail_kit.ids import derived_id
from snowrail_testkit import eventually
from snowrail_testkit.tokens import TokenIssuer

from .support import BOB, Conversation, Person


class Client:
    """Somebody who uses HTTP."""

    def __init__(self, talk: Conversation, issuer: TokenIssuer, person: Person) -> None:
        self.http = talk.chat.http
        self.person = person
        self.headers = issuer.headers(
            talk.clock.now(),
            person.user_id,
            handle=person.handle,
            address=person.address,
            roles=person.roles,
        )

    async def post(self, text: str, key: str | None = None) -> Any:
        headers = {**self.headers, "Idempotency-Key": key or str(uuid4())}
        return await self.http.post("/messages", json={"text": text}, headers=headers)

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(path, params=query, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def client(talk: Conversation, issuer: TokenIssuer, alice: Person) -> Client:
    """Alice over HTTP."""
    return Client(talk, issuer, alice)


async def test_a_line_is_answered_at_once_and_in_the_feed(client: Client, talk: Conversation) -> None:
    answer = await client.post("/contacts")
    assert answer.status_code == 201
    body = answer.json()
    assert (body["pending"], body["card"]["title"]) == (False, "No contacts yet")
    assert (await talk.published(FeedEventV1)).data["card"] == body["card"]


async def test_the_same_key_runs_a_line_once(client: Client, talk: Conversation) -> None:
    first = await client.post(f"/pay {BOB} 1", "one")
    again = await client.post(f"/pay {BOB} 1", "one")
    assert first.json() == again.json()
    assert first.json()["pending"] is True
    assert (await client.post(f"/pay {BOB} 2", "one")).status_code == 422
    await talk.say(client.person, f"/pay {BOB} 1", derived_id("message", client.person.user_id, "one"))
    await talk.ask(client.person, "/help")
    await talk.published(IntentCreateV1)
    assert await talk.broker.probe.count(IntentCreateV1) == 1


async def test_a_line_that_came_over_the_socket_is_not_run_again(client: Client, talk: Conversation) -> None:
    message_id = derived_id("message", client.person.user_id, "two")
    await talk.say(client.person, "/contacts", message_id)
    data = await talk.answer(message_id)
    answer = (await client.post("/contacts", "two")).json()
    assert answer["card"] == data["card"]


async def test_limits_hold_over_http_and_say_when(client: Client) -> None:
    for _ in range(5):
        assert (await client.post("/deposit abcd1234 1")).status_code == 201
    refused = await client.post("/deposit abcd1234 1", "again")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == "72"
    assert "at most 5 per minute" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"text": ""}, 422),
        ({"text": "x" * 2001}, 422),
        ({"text": "/help", "more": 1}, 422),
        ([], 422),
    ],
)
async def test_bad_bodies_are_refused(client: Client, body: Any, status: int) -> None:
    headers = {**client.headers, "Idempotency-Key": "k"}
    assert (await client.http.post("/messages", json=body, headers=headers)).status_code == status


async def test_a_key_and_a_token_are_needed(client: Client) -> None:
    assert (
        await client.http.post("/messages", json={"text": "/help"}, headers=client.headers)
    ).status_code in (400, 422)
    assert (await client.http.post("/messages", json={"text": "/help"})).status_code == 401
    assert (await client.http.get("/messages")).status_code == 401


async def test_the_conversation_is_read_in_pages_newest_first(client: Client, talk: Conversation) -> None:
    for number in range(3):
        talk.clock.advance(1)
        await client.post(f"/history {number + 1}")
    first = await client.get("/messages", limit=4)
    assert [item["author"] for item in first["items"]] == ["snowrail", "user", "snowrail", "user"]
    assert first["items"][1]["text"] == "/history 3"
    assert first["items"][0]["in_reply_to"] == first["items"][1]["message_id"]
    rest = await client.get("/messages", limit=4, cursor=first["next"])
    assert (len(rest["items"]), rest["next"]) == (2, None)
    assert rest["items"][-1]["command"] == "history"


async def test_nobody_reads_anothers_conversation(
    client: Client, talk: Conversation, issuer: TokenIssuer, bob: Person
) -> None:
    await client.post("/help")
    assert (await Client(talk, issuer, bob).get("/messages"))["items"] == []


async def test_completion_offers_commands_people_and_open_payments(
    client: Client, talk: Conversation, alice: Person, bob: Person
) -> None:
    await talk.register(alice, bob)
    assert [item["insert"] for item in (await client.get("/autocomplete", text="/p"))["items"]] == [
        "/pay",
        "/preview",
    ]
    await client.post("/contacts add “Bob the builder” @bob")
    await client.post("/pay @bob 3")
    intent = await talk.create(await talk.published(IntentCreateV1))
    await eventually(lambda: talk.fetch("SELECT 1 FROM intent"))
    people = await client.get("/autocomplete", text="/pay ")
    assert people["start"] == 5
    assert people["items"] == [
        {"insert": '"Bob the builder"', "detail": BOB},
        {"insert": "@bob", "detail": BOB},
    ]
    assert [i["insert"] for i in (await client.get("/autocomplete", text='/pay "bob t'))["items"]] == [
        '"Bob the builder"'
    ]
    assert [i["insert"] for i in (await client.get("/autocomplete", text="/contacts add x @b"))["items"]] == [
        "@bob"
    ]
    assert len((await client.get("/autocomplete", text="/contacts remove B"))["items"]) == 1
    opened = (await client.get("/autocomplete", text="/cancel "))["items"]
    assert opened == [
        {"insert": intent.intent_id.hex[:8], "detail": "3 CRO to @bob (0x7099…79C8), awaiting authorisation"}
    ]
    assert (await client.get("/autocomplete", text="/cancel zz"))["items"] == []
    assert [i["insert"] for i in (await client.get("/autocomplete", text="/pay @bob 1 u"))["items"]] == [
        "USDC"
    ]
    assert (await client.get("/autocomplete", text="/pay @bob 1"))["items"] == []
    assert [i["insert"] for i in (await client.get("/autocomplete", text="/help his"))["items"]] == [
        "history"
    ]
    assert (await client.get("/autocomplete", text="/pay @bob 1 CRO --acknowledge d"))["items"][0][
        "insert"
    ] == "duplicate"
    assert len((await client.get("/autocomplete"))["items"]) == len(COMMANDS)


@pytest.mark.parametrize("text", ["\0", "/pay \0", "/cancel %_\\", '/pay "%', "/pay '; DROP", "x" * 2001])
async def test_no_text_breaks_completion(client: Client, text: str) -> None:
    answer = await client.http.get("/autocomplete", params={"text": text}, headers=client.headers)
    assert answer.status_code == (422 if len(text) > 2000 else 200)


async def test_the_registry_is_public(client: Client) -> None:
    body = (await client.http.get("/commands")).json()
    assert [command["name"] for command in body["commands"]] == [spec.name for spec in COMMANDS]
    pay = body["commands"][0]
    assert pay["usage"].startswith("/pay <to> <amount> [currency]")
    assert pay["limit"] == {"count": 10, "seconds": 60}
    assert body["message_limit"] == {"count": 50, "seconds": 60}
