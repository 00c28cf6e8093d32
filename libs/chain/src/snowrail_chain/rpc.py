"""A bounded JSON-RPC client of one node, with batches and a pinned chain id.

It never retries: the caller knows what may be asked again and what may not.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
import orjson
from eth_hash.auto import keccak

from snowrail_chain.send import SendOutcome, SendResult, classify_send_error

DEFAULT_TIMEOUT_SECONDS = 10.0
DEFAULT_MAX_BATCH_REQUESTS = 100
DEFAULT_MAX_CONCURRENT_REQUESTS = 16
DEFAULT_MAX_ANSWER_BYTES = 32 * 1024 * 1024
_READ_CHUNK_BYTES = 256 * 1024


class RpcError(Exception):
    """A call gave no result."""


class RpcUnavailable(RpcError):
    """No connection to the node: the request never left."""


class RpcUnknownOutcome(RpcError):
    """The request may have had its effect, but no usable answer came back: ask, it is no failure."""


class RpcTimeout(RpcUnknownOutcome):
    """No answer in time."""


class RpcBadAnswer(RpcUnknownOutcome):
    """The connection broke, or the answer is not JSON-RPC, too large, or carries an HTTP error."""


class RpcTooLarge(RpcBadAnswer):
    """The answer is larger than what is read."""


class RpcRejected(RpcError):
    """The node answered with an error.

    Attributes:
        code: JSON-RPC error code.
        message: The node's words.
        data: Data of the error, which for a reverted call is the revert data; empty when there is none.
    """

    def __init__(self, code: int, message: str, data: bytes = b"") -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data


class WrongChain(RpcError):
    """The node serves another chain than the one configured.

    Attributes:
        expected: Configured chain id.
        actual: Chain id of the node.
    """

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"the node serves chain {actual}, not {expected}")
        self.expected = expected
        self.actual = actual


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One call: method and parameters as JSON-RPC spells them."""

    method: str
    parameters: tuple[Any, ...] = ()


def quantity(value: str) -> int:
    """Integer of a JSON-RPC quantity such as `0x1a`.

    Raises:
        RpcBadAnswer: Not a quantity.
    """
    try:
        return int(value, 16)
    except (TypeError, ValueError) as problem:
        raise RpcBadAnswer(f"not a quantity: {value!r}") from problem


def transaction_hash(raw: bytes) -> str:
    """Hash of a raw signed transaction, `0x` and 64 hexadecimal digits."""
    return f"0x{keccak(raw).hex()}"


class RpcClient:
    """Client of one node.

    Use as an asynchronous context manager, or call `connect` and `close`. Any number of tasks may share it;
    at most `max_concurrent_requests` HTTP requests are under way at once and the rest wait.

    Args:
        url: HTTP address of the node.
        chain_id: The only chain id accepted.
        timeout_seconds: Longest time of one HTTP request, connecting included.
        max_batch_requests: Most calls in one HTTP request; longer batches are sent in parts.
        max_concurrent_requests: Most HTTP requests at once.
        max_answer_bytes: Largest answer read.
    """

    def __init__(
        self,
        url: str,
        chain_id: int,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        max_batch_requests: int = DEFAULT_MAX_BATCH_REQUESTS,
        max_concurrent_requests: int = DEFAULT_MAX_CONCURRENT_REQUESTS,
        max_answer_bytes: int = DEFAULT_MAX_ANSWER_BYTES,
    ) -> None:
        self.url = url
        self.chain_id = chain_id
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._max_batch_requests = max_batch_requests
        self._max_answer_bytes = max_answer_bytes
        self._slots = asyncio.Semaphore(max_concurrent_requests)
        self._session: aiohttp.ClientSession | None = None

    async def connect(self) -> None:
        """Open the connection and check the chain id.

        Raises:
            WrongChain: The node serves another chain.
            RpcError: The node does not answer.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, headers={"Content-Type": "application/json"}
            )
        try:
            await self.verify_chain_id()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection; harmless when closed."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def verify_chain_id(self) -> None:
        """Check the chain id again, for instance after the node was out of reach.

        Raises:
            WrongChain: The node serves another chain.
            RpcError: The node does not answer.
        """
        actual = quantity(await self.call("eth_chainId"))
        if actual != self.chain_id:
            raise WrongChain(self.chain_id, actual)

    async def call(self, method: str, *parameters: Any) -> Any:
        """Call a method and return its result.

        Raises:
            RpcRejected: The node answered with an error.
            RpcUnavailable: The request never left.
            RpcUnknownOutcome: No usable answer.
        """
        answer = await self._post(_envelope(0, RpcRequest(method, parameters)))
        if not isinstance(answer, dict):
            raise RpcBadAnswer("the answer is not a JSON-RPC object")
        result = _result(cast("dict[str, Any]", answer))
        if isinstance(result, RpcError):
            raise result
        return result

    async def batch(self, requests: Sequence[RpcRequest]) -> list[Any]:
        """Call many methods in as few HTTP requests as the bounds allow.

        Returns:
            One entry per request, in order: its result, or an instance of `RpcError` (not raised) that says
            why there is none. A failing HTTP request fails only the calls it carried.
        """
        size = self._max_batch_requests
        parts = [requests[start : start + size] for start in range(0, len(requests), size)]
        results = await asyncio.gather(*(self._batch_part(part) for part in parts))
        return [result for part in results for result in part]

    async def send_raw_transaction(self, raw: bytes) -> SendResult:
        """Send a signed transaction; see `send_raw_transactions`."""
        return (await self.send_raw_transactions([raw]))[0]

    async def send_raw_transactions(self, raws: Sequence[bytes]) -> list[SendResult]:
        """Send signed transactions, in order as long as they fit one batch.

        Never raises for what the node or the network does: without a clear answer the outcome is UNKNOWN.
        """
        requests = [RpcRequest("eth_sendRawTransaction", (f"0x{raw.hex()}",)) for raw in raws]
        results: list[SendResult] = []
        for start in range(0, len(requests), self._max_batch_requests):
            answers = await self._batch_part(requests[start : start + self._max_batch_requests])
            for answer in answers:
                results.append(_send_result(answer, transaction_hash(raws[len(results)])))
        return results

    async def block_number(self) -> int:
        """Height of the latest block. Raises `RpcError`."""
        return quantity(await self.call("eth_blockNumber"))

    async def balance(self, account: str, block: str = "latest") -> int:
        """Native balance in wei. Raises `RpcError`."""
        return quantity(await self.call("eth_getBalance", account, block))

    async def transaction_count(self, account: str, block: str = "latest") -> int:
        """Next nonce of an account, mined or, with `pending`, in the node's pool. Raises `RpcError`."""
        return quantity(await self.call("eth_getTransactionCount", account, block))

    async def code(self, account: str, block: str = "latest") -> bytes:
        """Code at an address; empty for accounts without any. Raises `RpcError`."""
        return _bytes(await self.call("eth_getCode", account, block))

    async def read(self, contract: str, calldata: bytes, block: str = "latest") -> bytes:
        """Answer of a contract to a call that changes nothing.

        Raises:
            RpcRejected: The call reverted; `data` holds the revert data.
            RpcError: The node does not answer.
        """
        return _bytes(await self.call("eth_call", {"to": contract, "data": f"0x{calldata.hex()}"}, block))

    async def receipts(self, transaction_hashes: Sequence[str]) -> list[dict[str, Any] | None]:
        """Receipts, in order, with nothing for transactions that are not in a block.

        Raises:
            RpcError: Any of the answers is missing.
        """
        answers = await self.batch(
            [RpcRequest("eth_getTransactionReceipt", (value,)) for value in transaction_hashes]
        )
        for answer in answers:
            if isinstance(answer, RpcError):
                raise answer
        return answers

    async def _batch_part(self, requests: Sequence[RpcRequest]) -> list[Any]:
        try:
            answer = await self._post([_envelope(index, request) for index, request in enumerate(requests)])
        except RpcError as problem:
            return [problem] * len(requests)
        if isinstance(answer, dict):  # the batch as a whole was refused
            refusal = _result(cast("dict[str, Any]", answer))
            problem = refusal if isinstance(refusal, RpcError) else RpcBadAnswer("one answer to a batch")
            return [problem] * len(requests)
        results: list[Any] = [RpcBadAnswer("the node left the call out of its answer") for _ in requests]
        for entry in cast("list[Any]", answer) if isinstance(answer, list) else []:
            index = cast("dict[str, Any]", entry).get("id") if isinstance(entry, dict) else None
            if isinstance(index, int) and 0 <= index < len(results):
                results[index] = _result(cast("dict[str, Any]", entry))
        return results

    async def _post(self, body: Any) -> Any:
        if self._session is None:
            raise RpcUnavailable("the client is not connected")
        async with self._slots:
            try:
                async with self._session.post(self.url, data=orjson.dumps(body)) as response:
                    content = await self._read_bounded(response)
                    status = response.status
            except aiohttp.ClientConnectorError as problem:
                raise RpcUnavailable(f"cannot reach the node: {problem.strerror or problem}") from problem
            except TimeoutError as problem:
                raise RpcTimeout(f"no answer within {self._timeout.total} s") from problem
            except (aiohttp.ClientError, OSError) as problem:
                raise RpcBadAnswer(f"the connection broke: {problem!r}") from problem
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as problem:
            raise RpcBadAnswer(f"HTTP status {status} and no JSON") from problem

    async def _read_bounded(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for chunk in response.content.iter_chunked(_READ_CHUNK_BYTES):
            content += chunk
            if len(content) > self._max_answer_bytes:
                raise RpcTooLarge(f"an answer of more than {self._max_answer_bytes} bytes")
        return bytes(content)


def _envelope(index: int, request: RpcRequest) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": index, "method": request.method, "params": request.parameters}


def _result(answer: dict[str, Any]) -> Any:
    error = answer.get("error")
    if error is None:
        return answer["result"] if "result" in answer else RpcBadAnswer("neither result nor error")
    if not isinstance(error, dict):
        return RpcBadAnswer(f"an error that is no object: {error!r}")
    details = cast("dict[str, Any]", error)
    code = details.get("code")
    return RpcRejected(
        code if isinstance(code, int) else 0,
        str(details.get("message", "")),
        _error_data(details.get("data")),
    )


def _error_data(data: Any) -> bytes:
    if not isinstance(data, str) or not data.startswith("0x"):
        return b""
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return b""


def _bytes(value: Any) -> bytes:
    try:
        return bytes.fromhex(value[2:])
    except (TypeError, ValueError) as problem:
        raise RpcBadAnswer(f"not bytes: {value!r}") from problem


def _send_result(answer: Any, own_hash: str) -> SendResult:
    if isinstance(answer, RpcRejected):
        return SendResult(classify_send_error(answer.message), own_hash, answer.message)
    if isinstance(answer, RpcError):
        return SendResult(SendOutcome.UNKNOWN, own_hash, str(answer))
    if not isinstance(answer, str) or answer.lower() != own_hash:
        return SendResult(SendOutcome.UNKNOWN, own_hash, f"the node names another hash: {answer!r}")
    return SendResult(SendOutcome.ACCEPTED, own_hash)
