"""Many users of one platform in one process: wallets with money, sessions, and sockets."""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from coincurve import PrivateKey
from eth_hash.auto import keccak

from snowrail_chain.abi import approve_calldata
from snowrail_chain.addresses import checksum_address
from snowrail_chain.rpc import RpcClient, RpcRequest, quantity
from snowrail_chain.signer import LocalSigner, Transaction
from snowrail_client import SnowrailClient, Wallet, new_http
from snowrail_local.dev_accounts import DEPLOYER_INDEX, dev_account
from snowrail_local.stack import Stack

SIGN_INS_AT_ONCE = 16
RPC_BATCH = 200
MINED_POLL_SECONDS = 0.2
GAS = 100_000
MINTED_ATOMS = 10**12
ALLOWANCE = 2**256 - 1
MINT = keccak(b"mint(address,uint256)")[:4]

OnFrame = Callable[["Member", str], None]
"""Takes a frame as text; most frames are not worth parsing."""


@dataclass(frozen=True)
class Chain:
    """What a wallet has to know of the development chain."""

    chain_id: int
    url: str
    websocket_url: str
    escrow: str
    usdc: str
    confirmations: int

    @classmethod
    def of(cls, stack: Stack) -> "Chain":
        """Return the chain of a running stack."""
        chain: dict[str, Any] = json.loads(stack.settings.chains_file.read_text())["chains"][0]
        tokens = {token["symbol"]: token["address"] for token in chain["tokens"]}
        return cls(
            chain["chain_id"],
            chain["rpc_urls"][0],
            chain["ws_url"],
            chain["escrow"],
            tokens["USDC"],
            chain["confirmations"],
        )


@dataclass(slots=True)
class Member:
    """A user: a wallet, a session, and a socket once connected."""

    number: int
    key: PrivateKey
    address: str
    user_id: str = ""
    token: str = ""
    socket: aiohttp.ClientWebSocketResponse | None = None
    reading: "asyncio.Task[None] | None" = None

    @classmethod
    def create(cls, number: int) -> "Member":
        """Return somebody with a fresh wallet."""
        key = PrivateKey(secrets.token_bytes(32))
        return cls(number, key, checksum_address(keccak(key.public_key.format(compressed=False)[1:])[12:]))

    def sign(self, digest: bytes) -> str:
        """Return the wallet's signature of 32 bytes as hex."""
        signature = self.key.sign_recoverable(digest, hasher=None)
        return "0x" + (signature[:64] + bytes((27 + signature[64],))).hex()

    async def send(self, frame: dict[str, Any]) -> None:
        """Send a frame."""
        assert self.socket is not None, "connect first"
        await self.socket.send_str(orjson.dumps(frame).decode())


@asynccontextmanager
async def crowd(stack: Stack, count: int, on_frame: OnFrame | None) -> AsyncGenerator[list[Member]]:
    """Lend users who are signed in and, where somebody takes the frames, connected."""
    members = [Member.create(number) for number in range(count)]
    chain = Chain.of(stack)
    async with new_http() as http:
        limit = asyncio.Semaphore(SIGN_INS_AT_ONCE)

        async def enter(member: Member) -> None:
            async with limit:
                client = SnowrailClient(stack.origin, http=http)
                user = await client.sign_in(Wallet.from_key("0x" + member.key.secret.hex()), chain.chain_id)
                member.user_id, member.token = user.user_id, await client.access_token()
                if on_frame is not None:
                    await _connect(http, stack.origin, member, on_frame)

        await asyncio.gather(*(enter(member) for member in members))
        yield members
        for member in members:
            if member.socket is not None:
                await member.socket.close()


async def _connect(http: aiohttp.ClientSession, origin: str, member: Member, on_frame: OnFrame) -> None:
    url = "ws" + origin.removeprefix("http") + "/ws"
    socket = await http.ws_connect(url, compress=0, max_msg_size=1 << 20)
    member.socket = socket
    await member.send({"type": "auth", "token": member.token, "position": None})
    while True:
        frame = await socket.receive_json(timeout=30)
        if frame["type"] == "auth:success":
            break
        assert frame["type"] == "connect", frame

    async def read() -> None:
        async for message in socket:
            on_frame(member, message.data)

    member.reading = asyncio.create_task(read())


async def give_money(chain: Chain, members: Sequence[Member]) -> None:
    """Give each wallet coins for gas, USDC, and the escrow's allowance to take them."""
    deployer = LocalSigner(bytes.fromhex(dev_account(DEPLOYER_INDEX).private_key[2:]), chain.chain_id)
    async with RpcClient(chain.url, chain.chain_id) as rpc:
        await rpc.batch([RpcRequest("anvil_setBalance", (member.address, hex(10**18))) for member in members])
        max_fee = 4 * quantity(await rpc.call("eth_gasPrice"))
        nonce = await rpc.transaction_count(deployer.address, "pending")

        async def signed(signer: LocalSigner, nonce: int, data: bytes) -> bytes:
            transaction = Transaction(chain.chain_id, nonce, chain.usdc, 0, data, GAS, max_fee, max_fee // 8)
            return (await signer.sign_transaction(transaction)).raw

        raws: list[bytes] = []
        for offset, member in enumerate(members):
            mint = MINT + bytes(12) + bytes.fromhex(member.address[2:]) + MINTED_ATOMS.to_bytes(32, "big")
            raws.append(await signed(deployer, nonce + offset, mint))
            own = LocalSigner(member.key.secret, chain.chain_id)
            raws.append(await signed(own, 0, approve_calldata(chain.escrow, ALLOWANCE)))
        for start in range(0, len(raws), RPC_BATCH):
            await rpc.send_raw_transactions(raws[start : start + RPC_BATCH])
        while await rpc.transaction_count(deployer.address) < nonce + len(members):  # noqa: ASYNC110
            await asyncio.sleep(MINED_POLL_SECONDS)
