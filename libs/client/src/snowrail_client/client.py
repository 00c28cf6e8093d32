"""A user's way into Snowrail: signing in, HTTP, the live connection, and what cards ask the wallet for."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from snowrail_client.cards import Action
from snowrail_client.connection import Connection
from snowrail_client.errors import ApiError, NotSignedIn
from snowrail_client.events import Reply
from snowrail_client.rpc import Rpc
from snowrail_client.wallet import Wallet

_HTTP_TIMEOUT = aiohttp.ClientTimeout(total=30)
_RENEW_BEFORE_SECONDS = 60.0
_RENEW_BEFORE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in."""

    user_id: str
    handle: str
    address: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Tokens:
    access: str
    refresh: str
    renew_at: float


@dataclass(frozen=True, slots=True)
class Performed:
    """What became of a button: the chat's answer, or the transaction that the wallet sent, or both."""

    reply: Reply | None
    transaction_hash: str | None


class SnowrailClient:
    """Client of one public origin for one user. Use as an async context manager.

    Args:
        origin: such as `https://pay.example`.
        http: session to share between many clients of one program; an own one by default.
        device_label: what this program is called among the user's devices.
    """

    def __init__(
        self, origin: str, *, http: aiohttp.ClientSession | None = None, device_label: str = "snowrail-client"
    ) -> None:
        self._origin = origin.rstrip("/")
        self._shared_http = http
        self._own_http: aiohttp.ClientSession | None = None
        self._device: dict[str, str] = {"label": device_label}
        self._wallet: Wallet | None = None
        self._chain_id = 0
        self._tokens: _Tokens | None = None
        self._renewing = asyncio.Lock()
        self._connection: Connection | None = None
        self._user: User | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the live connection and the HTTP session, unless that is shared."""
        if self._connection is not None:
            await self._connection.close()
        if self._own_http is not None:
            await self._own_http.close()
            self._own_http = None

    @property
    def user(self) -> User:
        """Who is signed in. Raises NotSignedIn."""
        if self._user is None:
            raise NotSignedIn("sign in first")
        return self._user

    @property
    def connection(self) -> Connection:
        """The live connection. Raises NotSignedIn before `connect`."""
        if self._connection is None:
            raise NotSignedIn("connect first")
        return self._connection

    async def sign_in(self, wallet: Wallet, chain_id: int) -> User:
        """Sign in with a wallet (EIP-4361). The wallet signs again when the session can no longer be renewed.

        Raises:
            ApiError: refused.
        """
        challenge = await self.request(
            "POST",
            "/api/auth/nonce",
            {"address": wallet.address, "chain_id": chain_id},
            authenticated=False,
        )
        message = challenge["message"]
        answer = await self.request(
            "POST",
            "/api/auth/wallet",
            {"message": message, "signature": wallet.sign_message(message), "device": self._device},
            authenticated=False,
        )
        self._wallet, self._chain_id = wallet, chain_id
        self._device = {**self._device, "id": answer["device"]["id"]}
        return self._take_tokens(answer)

    async def refresh(self) -> User:
        """Exchange the refresh token for new tokens; sign in anew where it is no longer accepted.

        Raises:
            NotSignedIn: there is no session and no wallet to begin one with.
            ApiError: refused.
        """
        if self._tokens is None:
            raise NotSignedIn("sign in first")
        body = {"refresh_token": self._tokens.refresh}
        try:
            return self._take_tokens(
                await self.request("POST", "/api/auth/refresh", body, authenticated=False)
            )
        except ApiError as error:
            if error.status not in (400, 401, 403, 404):
                raise
            if self._wallet is None:
                raise NotSignedIn("the session is over") from error
            return await self.sign_in(self._wallet, self._chain_id)

    async def access_token(self) -> str:
        """Return an access token that is good for a while, renewed when it is about to expire.

        Raises:
            NotSignedIn: nobody is signed in.
            ApiError: it cannot be renewed.
        """
        async with self._renewing:
            if self._tokens is None:
                raise NotSignedIn("sign in first")
            if asyncio.get_running_loop().time() >= self._tokens.renew_at:
                await self.refresh()
            return self._tokens.access

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        authenticated: bool = True,
    ) -> Any:
        """Return the JSON of an answer, or None for an empty one.

        Args:
            path: on the public origin, such as `/api/intents`.
            body: sent as JSON; None for no body.
            idempotency_key: names the operation for POSTs that move money; the same for each repetition.

        Raises:
            ApiError: the answer is a problem.
            NotSignedIn: it needs a user and there is none.
            aiohttp.ClientError, TimeoutError: there is no answer; the outcome is unknown.
        """
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if authenticated:
            headers["Authorization"] = f"Bearer {await self.access_token()}"
        async with self._http.request(
            method,
            f"{self._origin}{path}",
            data=None if body is None else orjson.dumps(body),
            params=query,
            headers=headers,
            timeout=_HTTP_TIMEOUT,
        ) as answer:
            content = await answer.read()
            if answer.status >= 400:
                raise _api_error(answer, content)
        return orjson.loads(content) if content else None

    async def connect(self, position: str | None = None) -> Connection:
        """Open the live connection, which stays up until the client is closed.

        Args:
            position: where an earlier connection ended, to receive what came since.

        Raises:
            NotSignedIn, ConnectionEnded, TimeoutError: there is none.
        """
        await self.access_token()
        if self._connection is not None:
            await self._connection.close()
        url = "ws" + self._origin.removeprefix("http") + "/ws"
        self._connection = Connection(self._http, url, self.access_token, position)
        await self._connection.open()
        return self._connection

    async def say(self, text: str, timeout_seconds: float = 15.0) -> Reply:
        """Send a line over the live connection and return the chat's answer to it."""
        return await self.connection.say(text, timeout_seconds)

    async def perform(self, action: Action, wallet: Wallet, rpc: Rpc | None = None) -> Performed:
        """Do what a card's button does: sign what it asks the wallet for, and send its line.

        A transaction is sent and waited for until it is in a block; the line, which would only show the
        payment again, is then not sent.

        Args:
            rpc: node to send transactions through; only buttons with one need it.

        Raises:
            ValueError: a transaction without a node, or something unknown to sign.
            TransactionFailed: the transaction was refused or reverted.
        """
        if action.sign is None:
            return Performed(await self.say(action.command), None)
        if action.sign["kind"] == "typed_data":
            signature = wallet.sign_typed_data(action.sign["typed_data"])
            return Performed(await self.say(f"{action.command} {signature}"), None)
        if action.sign["kind"] != "transaction" or rpc is None:
            raise ValueError(f"cannot sign {action.sign['kind']} here")
        transaction_hash = await wallet.send_transaction(rpc, action.sign["transaction"])
        await rpc.wait_for_receipt(transaction_hash)
        return Performed(None, transaction_hash)

    def rpc(self, url: str) -> Rpc:
        """Return a node to send transactions through."""
        return Rpc(url, self._http)

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._shared_http is not None:
            return self._shared_http
        if self._own_http is None:
            self._own_http = new_http()
        return self._own_http

    def _take_tokens(self, answer: Mapping[str, Any]) -> User:
        lifetime = float(answer["expires_in"])
        renew_after = max(lifetime - _RENEW_BEFORE_SECONDS, lifetime * (1 - _RENEW_BEFORE_SHARE))
        now = asyncio.get_running_loop().time()
        self._tokens = _Tokens(answer["access_token"], answer["refresh_token"], now + renew_after)
        user = answer["user"]
        self._user = User(user["id"], user["handle"], user["address"], tuple(user["roles"]))
        return self._user


def new_http() -> aiohttp.ClientSession:
    """Return an HTTP session as clients use it, with no limit on connections: to share between clients."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


def _api_error(answer: aiohttp.ClientResponse, content: bytes) -> ApiError:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    retry_after = answer.headers.get("Retry-After", "")
    return ApiError(
        answer.status,
        body.get("code", "http_error"),
        body.get("detail", content[:200].decode(errors="replace")),
        float(retry_after) if retry_after.isdigit() else None,
        body,
    )
