"""Putting the contracts on a chain, once, and describing the chain for the chains file.

Every step looks at the chain first, so that a repeated or interrupted run does only what is missing.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from snowrail_chain.abi import balance_of_calldata, decode_uint256, transfer_calldata
from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.config import ChainConfig, SafeContracts, TokenConfig
from snowrail_chain.rpc import RpcClient, RpcError, RpcRequest, quantity
from snowrail_chain.send import SendOutcome
from snowrail_chain.signer import SignedTransaction, Signer, Transaction
from snowrail_evm import ContractArtifact, DeployedContract, Deployment, UnknownDeployment, load

TEST_TOKENS: dict[str, TokenConfig] = {
    "TestWCRO": TokenConfig(symbol="WCRO", address=NATIVE_TOKEN, decimals=18, name="Wrapped CRO"),
    "TestUSDC": TokenConfig(symbol="USDC", address=NATIVE_TOKEN, decimals=6, name="USD Coin", permit=True),
    "TestUSDT": TokenConfig(symbol="USDT", address=NATIVE_TOKEN, decimals=6, name="Tether USD"),
}
"""Tokens of a development chain by contract; each stands without its address, which a deployment gives."""
OWN_CONTRACTS = ("IntentEscrow", "BatchPayout", "SpendingMandate")
"""Contracts of this platform; each takes its administrator when it is created."""
SAFE_CONTRACTS: dict[str, str] = {
    "singleton": "SafeL2",
    "proxy_factory": "SafeProxyFactory",
    "fallback_handler": "CompatibilityFallbackHandler",
    "multi_send": "MultiSend",
    "multi_send_call_only": "MultiSendCallOnly",
}
"""Contracts of Safe by their part in the chains file; public chains have them already."""
NATIVE_COIN = TokenConfig(symbol="CRO", address=NATIVE_TOKEN, decimals=18, name="Cronos")

EXECUTOR_ROLE = keccak(b"EXECUTOR_ROLE")
_GRANT_ROLE = keccak(b"grantRole(bytes32,address)")[:4]
_HAS_ROLE = keccak(b"hasRole(bytes32,address)")[:4]
_MINT = keccak(b"mint(address,uint256)")[:4]
_WRAP = keccak(b"deposit()")[:4]

_ORDER = ["IntentEscrow", *TEST_TOKENS, "BatchPayout", "SpendingMandate", *SAFE_CONTRACTS.values()]
_POLL_SECONDS = 0.2
_GAS_MARGIN_PERCENT = 25
_FEE_MARGIN = 2
_MAX_TRANSACTIONS_PER_STEP = 200


class DeploymentFailed(Exception):
    """A transaction was refused, reverted or not mined in time, or the chain is not as recorded."""


@dataclass(frozen=True, slots=True)
class _Step:
    to: str | None
    data: bytes
    value: int = 0


class Deployer:
    """Puts contracts on a chain with one key.

    Args:
        rpc: Connected client of the chain.
        signer: Key that pays and becomes administrator of our contracts and minter of test tokens.
        timeout_seconds: Longest wait for the transactions of one step to be mined.
    """

    def __init__(self, rpc: RpcClient, signer: Signer, *, timeout_seconds: float = 60.0) -> None:
        self._rpc = rpc
        self._signer = signer
        self._timeout_seconds = timeout_seconds

    async def deploy(self, record: Path, executors: Sequence[str], *, test_tokens: bool) -> Deployment:
        """Deploy our contracts, on development chains also test tokens and Safe, and appoint executors.

        Args:
            record: Deployment document; what it names is kept while its code is on the chain and still
                what the sources compile to.
            executors: EIP-55 addresses that may ask the contracts to execute.
            test_tokens: Whether this is a development chain, with test tokens and its own contracts of Safe.

        Returns:
            What is deployed now, as written to `record`.

        Raises:
            DeploymentFailed: The code at a recorded address is not the recorded one, or a transaction failed.
            RpcError: The node does not answer.
        """
        # escrow and tokens first: a fresh development chain then has them at addresses known beforehand
        development = (*TEST_TOKENS, *SAFE_CONTRACTS.values()) if test_tokens else ()
        names = sorted({*OWN_CONTRACTS, *development}, key=_ORDER.index)
        contracts = await self._kept_contracts(record)
        missing = [name for name in names if name not in contracts]
        if missing:
            receipts = await self._run([_Step(None, self._creation_code(load(name))) for name in missing])
            for name, receipt in zip(missing, receipts, strict=True):
                contracts[name] = await self._deployed(receipt)
            Deployment(self._rpc.chain_id, self._signer.address, contracts).write(record)
        for name in ("IntentEscrow", "BatchPayout"):
            await self._appoint(contracts[name].address, executors)
        return Deployment(self._rpc.chain_id, self._signer.address, contracts)

    async def mint(self, deployment: Deployment, accounts: Sequence[str], units: int) -> None:
        """Bring each account's balance of every deployed test token up to `units` whole units.

        Raises:
            DeploymentFailed: A transaction failed.
            RpcError: The node does not answer.
        """
        wrapped: list[_Step] = []
        minted: list[_Step] = []
        for name, token in TEST_TOKENS.items():
            if name not in deployment.contracts:
                continue
            address = deployment.contracts[name].address
            wanted = units * 10**token.decimals
            balances = await self._read_many(
                [(address, balance_of_calldata(account)) for account in accounts]
            )
            lacking = [
                (account, wanted - balance)
                for account, balance in zip(accounts, map(decode_uint256, balances), strict=True)
                if balance < wanted
            ]
            if name == "TestWCRO" and lacking:
                wrapped.append(_Step(address, _WRAP, sum(amount for _, amount in lacking)))
                minted += [_Step(address, transfer_calldata(account, amount)) for account, amount in lacking]
            else:
                minted += [
                    _Step(address, _MINT + encode(["address", "uint256"], [account, amount]))
                    for account, amount in lacking
                ]
        await self._run(wrapped)
        await self._run(minted)

    async def _kept_contracts(self, record: Path) -> dict[str, DeployedContract]:
        try:
            recorded = Deployment.read(record)
        except UnknownDeployment:
            return {}
        if recorded.chain_id != self._rpc.chain_id:
            raise DeploymentFailed(f"{record} is of chain {recorded.chain_id}, not {self._rpc.chain_id}")
        kept: dict[str, DeployedContract] = {}
        for name, contract in recorded.contracts.items():
            code = await self._rpc.code(contract.address)
            if not code:  # a development chain that began anew
                continue
            if _hash(code) != contract.code_hash:
                raise DeploymentFailed(f"{name} at {contract.address} is not the code that {record} names")
            if load(name).matches(code):  # otherwise the sources have changed since
                kept[name] = contract
        return kept

    def _creation_code(self, artifact: ContractArtifact) -> bytes:
        arguments = b"" if artifact.name not in OWN_CONTRACTS else encode(["address"], [self._signer.address])
        return artifact.bytecode + arguments

    async def _deployed(self, receipt: dict[str, Any]) -> DeployedContract:
        address = checksum_address(bytes.fromhex(receipt["contractAddress"][2:]))
        return DeployedContract(
            address=address,
            code_hash=_hash(await self._rpc.code(address)),
            transaction_hash=receipt["transactionHash"],
            block_number=quantity(receipt["blockNumber"]),
        )

    async def _appoint(self, contract: str, executors: Sequence[str]) -> None:
        arguments = [encode(["bytes32", "address"], [EXECUTOR_ROLE, executor]) for executor in executors]
        answers = await self._read_many([(contract, _HAS_ROLE + argument) for argument in arguments])
        await self._run(
            [
                _Step(contract, _GRANT_ROLE + argument)
                for argument, answer in zip(arguments, answers, strict=True)
                if not decode_uint256(answer)
            ]
        )

    async def _read_many(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes]:
        answers = await self._rpc.batch(
            [
                RpcRequest("eth_call", ({"to": contract, "data": f"0x{data.hex()}"}, "latest"))
                for contract, data in calls
            ]
        )
        return [bytes.fromhex(str(answer)[2:]) for answer in _raise_first(answers)]

    async def _run(self, steps: Sequence[_Step]) -> list[dict[str, Any]]:
        """Send transactions with consecutive nonces and wait until all are mined."""
        if not steps:
            return []
        if len(steps) > _MAX_TRANSACTIONS_PER_STEP:
            raise DeploymentFailed(f"more than {_MAX_TRANSACTIONS_PER_STEP} transactions at once")
        gas_limits = await self._estimate(steps)
        max_fee = _FEE_MARGIN * quantity(await self._rpc.call("eth_gasPrice"))
        tip = min(max_fee, quantity(await self._rpc.call("eth_maxPriorityFeePerGas")))
        first_nonce = await self._rpc.transaction_count(self._signer.address, "pending")
        signed = [
            await self._signer.sign_transaction(
                Transaction(
                    chain_id=self._rpc.chain_id,
                    nonce=first_nonce + index,
                    to=step.to,
                    value=step.value,
                    data=step.data,
                    gas_limit=gas_limit,
                    max_fee_per_gas=max_fee,
                    max_priority_fee_per_gas=tip,
                )
            )
            for index, (step, gas_limit) in enumerate(zip(steps, gas_limits, strict=True))
        ]
        for result in await self._rpc.send_raw_transactions([item.raw for item in signed]):
            if result.outcome not in (SendOutcome.ACCEPTED, SendOutcome.ALREADY_KNOWN, SendOutcome.UNKNOWN):
                raise DeploymentFailed(f"{result.outcome}: {result.message}")
        return await self._wait(signed)

    async def _estimate(self, steps: Sequence[_Step]) -> list[int]:
        requests = [
            RpcRequest("eth_estimateGas", (_call_object(self._signer.address, step),)) for step in steps
        ]
        answers = _raise_first(await self._rpc.batch(requests))
        return [quantity(answer) * (100 + _GAS_MARGIN_PERCENT) // 100 for answer in answers]

    async def _wait(self, signed: Sequence[SignedTransaction]) -> list[dict[str, Any]]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                while True:
                    receipts = await self._rpc.receipts([item.hash for item in signed])
                    mined = [receipt for receipt in receipts if receipt is not None]
                    if len(mined) == len(signed):
                        break
                    await asyncio.sleep(_POLL_SECONDS)
                    # a node that forgot one holds up all after it; the same bytes again harm nothing
                    missing = [
                        item.raw for item, receipt in zip(signed, receipts, strict=True) if receipt is None
                    ]
                    await self._rpc.send_raw_transactions(missing)
        except TimeoutError as problem:
            raise DeploymentFailed(f"not mined within {self._timeout_seconds} s") from problem
        for receipt in mined:
            if quantity(receipt["status"]) != 1:
                raise DeploymentFailed(f"transaction {receipt['transactionHash']} reverted")
        return mined


def describe_chain(
    deployment: Deployment,
    *,
    name: str,
    rpc_urls: Sequence[str],
    executors: Sequence[str],
    confirmations: int,
    block_time_seconds: float,
    ws_url: str | None = None,
    explorer_url: str | None = None,
    tokens: Sequence[TokenConfig] = (),
) -> ChainConfig:
    """Entry of the chains file for a deployment.

    Args:
        deployment: What is deployed; its test tokens are listed after the native coin.
        name: Name shown to people.
        rpc_urls: HTTP addresses of nodes.
        executors: Accounts that were appointed.
        confirmations: Blocks, counting the including one, after which a transaction is final.
        block_time_seconds: Usual time between blocks.
        ws_url: WebSocket address of a node.
        explorer_url: Root of the block explorer.
        tokens: Further tokens, for chains with real ones.
    """

    def address_of(name: str) -> str | None:
        return deployment.contracts[name].address if name in deployment.contracts else None

    safe = {part: address for part, name in SAFE_CONTRACTS.items() if (address := address_of(name))}
    deployed_tokens = [
        token.model_copy(update={"address": deployment.contracts[contract].address})
        for contract, token in TEST_TOKENS.items()
        if contract in deployment.contracts
    ]
    return ChainConfig(
        chain_id=deployment.chain_id,
        name=name,
        rpc_urls=tuple(rpc_urls),
        ws_url=ws_url,
        confirmations=confirmations,
        block_time_seconds=block_time_seconds,
        explorer_url=explorer_url,
        start_block=deployment.contracts["IntentEscrow"].block_number,
        escrow=deployment.contracts["IntentEscrow"].address,
        batch_payout=address_of("BatchPayout"),
        spending_mandate=address_of("SpendingMandate"),
        safe=SafeContracts(**safe) if len(safe) == len(SAFE_CONTRACTS) else None,
        executors=tuple(executors),
        tokens=(NATIVE_COIN, *deployed_tokens, *tokens),
    )


def write_chains_file(path: Path, chains: Sequence[ChainConfig]) -> None:
    """Write the file that SNOWRAIL_CHAINS_FILE names; a reader sees either the old or the new one."""
    document = {"chains": [chain.model_dump(mode="json") for chain in chains]}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    os.replace(temporary, path)


def _raise_first(answers: Sequence[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
    return list(answers)


def _call_object(sender: str, step: _Step) -> dict[str, str]:
    call = {"from": sender, "data": f"0x{step.data.hex()}", "value": hex(step.value)}
    return call if step.to is None else {**call, "to": step.to}


def _hash(code: bytes) -> str:
    return f"0x{keccak(code).hex()}"
