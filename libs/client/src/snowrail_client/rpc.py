"""As much of an EVM node's JSON-RPC as a wallet needs."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import aiohttp
import orjson

from snowrail_client.errors import TransactionFailed

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_POLL_FIRST_SECONDS = 0.05
_POLL_LAST_SECONDS = 1.0


class Rpc:
    """One node over HTTP."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http
        self._last_id = 0

    async def call(self, method: str, *parameters: Any) -> Any:
        """Return the result of a call.

        Raises:
            TransactionFailed: the node answers with an error.
            aiohttp.ClientError, TimeoutError: it does not answer.
        """
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": parameters}
        headers = {"Content-Type": "application/json"}
        async with self._http.post(
            self._url, data=orjson.dumps(request), headers=headers, timeout=_TIMEOUT
        ) as answer:
            body = orjson.loads(await answer.read())
        if "error" in body:
            raise TransactionFailed(f"{method}: {body['error'].get('message', body['error'])}")
        return body["result"]

    async def send_raw_transaction(self, raw: bytes) -> str:
        """Send a signed transaction and return its hash. Raises TransactionFailed."""
        return cast("str", await self.call("eth_sendRawTransaction", "0x" + raw.hex()))

    async def wait_for_receipt(
        self, transaction_hash: str, timeout_seconds: float = 60.0
    ) -> Mapping[str, Any]:
        """Return the receipt of a transaction once it is in a block.

        Raises:
            TransactionFailed: it was reverted.
            TimeoutError: it is in no block yet.
        """
        pause = _POLL_FIRST_SECONDS
        async with asyncio.timeout(timeout_seconds):
            while (receipt := await self.call("eth_getTransactionReceipt", transaction_hash)) is None:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _POLL_LAST_SECONDS)
        if quantity(receipt["status"]) != 1:
            raise TransactionFailed(f"the transaction {transaction_hash} was reverted")
        return receipt


def quantity(value: str) -> int:
    """Return a number from its hex form on the wire."""
    return int(value, 16)
