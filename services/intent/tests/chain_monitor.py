"""The internal interface of chain-monitor over real HTTP, with balances that a test sets or a chain holds."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from snowrail_chain.abi import allowance_calldata, decode_uint256
from snowrail_testkit.escrow import EscrowWorld

GAS_PRICE = 7
PLENTY = 10**30


class ChainMonitorEmulator:
    """Answers `POST /internal/balances`.

    Attributes:
        balances: atoms by (address, token address); whatever is not named is plenty.
        allowances: atoms by (owner, token address).
        block_number: block that all of it is read at.
        world: chain to read instead, when there is one.
        is_available: whether it answers at all.
        questions: bodies of the questions so far.
        meanwhile: what happens while the next question is answered, once.
    """

    def __init__(self) -> None:
        self.balances: dict[tuple[str, str], int] = {}
        self.allowances: dict[tuple[str, str], int] = {}
        self.gas_price = GAS_PRICE
        self.block_number = 1
        self.world: EscrowWorld | None = None
        self.is_available = True
        self.questions: list[dict[str, Any]] = []
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post("/internal/balances", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        assert self._runner is not None, "it was started"
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.questions.append(body)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        if not self.is_available:
            return web.Response(status=503)
        assert len(body["queries"]) <= 500, "chain-monitor takes no more"
        assert len(body["allowances"]) <= 500, "chain-monitor takes no more"
        return web.json_response(
            {
                "balances": [str(await self._balance(query)) for query in body["queries"]],
                "allowances": [str(await self._allowance(query)) for query in body["allowances"]],
                "gas_price": str(self.gas_price if self.world is None else await self._gas_price()),
                "block_number": self.block_number,
            }
        )

    async def _balance(self, query: dict[str, str]) -> int:
        if self.world is None:
            return self.balances.get((query["address"], query["token"]), PLENTY)
        return await self.world.balance(query["address"], self.world.config.token_at(query["token"]).symbol)

    async def _allowance(self, query: dict[str, str]) -> int:
        if self.world is None:
            return self.allowances.get((query["owner"], query["token"]), 0)
        data = f"0x{allowance_calldata(query['owner'], query['spender']).hex()}"
        answer = await self.world.call("eth_call", {"to": query["token"], "data": data}, "latest")
        return decode_uint256(bytes.fromhex(answer[2:]))

    async def _gas_price(self) -> int:
        assert self.world is not None, "only a chain has a price of its own"
        return int(await self.world.call("eth_gasPrice"), 16)
