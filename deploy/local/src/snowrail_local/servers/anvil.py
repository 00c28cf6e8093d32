"""anvil, the development chain, from npm."""

import asyncio
import contextlib
import http.client
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from snowrail_local.servers.node import anvil_binary
from snowrail_local.servers.process import LaunchPlan, ServerProcess

#: Publicly known development mnemonic: its keys are for chains that hold nothing of value.
DEV_MNEMONIC = "test test test test test test test test test test test junk"
PROBE_TIMEOUT_SECONDS = 5.0
CALL_TIMEOUT_SECONDS = 30.0
LEFT_LOOK_SECONDS = 1.0
DEFAULT_GAS_LIMIT = 200_000_000
DEFAULT_KEPT_STATES = 200


class AnvilCallError(RuntimeError):
    """The chain answered a call with an error."""


class Anvil(ServerProcess):
    """A development chain with funded, publicly known accounts."""

    name = "anvil"

    def __init__(
        self,
        folder: Path,
        *,
        contracts_folder: Path,
        port: int = 0,
        chain_id: int = 31337,
        block_time_seconds: float | None = None,
        keep_state: bool = False,
        state_interval_seconds: int = 2,
        kept_states: int | None = DEFAULT_KEPT_STATES,
        gas_limit: int = DEFAULT_GAS_LIMIT,
        accounts: int = 10,
        mnemonic: str = DEV_MNEMONIC,
        extra_arguments: tuple[str, ...] = (),
        start_timeout_seconds: float = 30.0,
        stop_timeout_seconds: float = 20.0,
    ) -> None:
        """Describe a chain.

        Args:
            folder: holds the state file, log and process record.
            contracts_folder: the folder whose package.json names `@foundry-rs/anvil`.
            port: HTTP and WebSocket port, 0 finds a free one.
            chain_id: EIP-155 chain id.
            block_time_seconds: a block every so often; None mines each transaction at once.
            keep_state: the chain survives restarts, losing at most `state_interval_seconds` at a kill.
            state_interval_seconds: how often the state is written.
            kept_states: how many blocks' states are kept on disk, about 300 KB each; calls at older
                blocks and deeper reorganisations are refused. Unbounded, 20,000 blocks take 6 GB. None keeps
                no state but the last, and nothing on disk.
            gas_limit: of a block, in gas.
            accounts: number of funded accounts.
            mnemonic: of the funded accounts.
            extra_arguments: further arguments of anvil.
            start_timeout_seconds: bound of `start`.
            stop_timeout_seconds: after it the server is killed.
        """
        super().__init__(
            folder,
            port=port,
            start_timeout_seconds=start_timeout_seconds,
            stop_timeout_seconds=stop_timeout_seconds,
        )
        self.chain_id = chain_id
        self.mnemonic = mnemonic
        self._contracts_folder = contracts_folder
        self._block_time_seconds = block_time_seconds
        self._keep_state = keep_state
        self._state_interval_seconds = state_interval_seconds
        self._kept_states = kept_states
        self._gas_limit = gas_limit
        self._accounts = accounts
        self._extra_arguments = extra_arguments

    @property
    def url(self) -> str:
        """HTTP JSON-RPC URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def websocket_url(self) -> str:
        """WebSocket JSON-RPC URL."""
        return f"ws://{self.host}:{self.port}"

    @property
    def state_file(self) -> Path:
        """Where the chain is kept over restarts."""
        return self.folder / "chain.json"

    def call(self, method: str, *parameters: Any, timeout_seconds: float = CALL_TIMEOUT_SECONDS) -> Any:
        """Call a JSON-RPC method and return its result.

        Raises:
            AnvilCallError: the chain answered with an error.
            OSError: the chain did not answer.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)})
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_seconds)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method}: {error!r}") from error
        finally:
            connection.close()
        if "error" in answer:
            raise AnvilCallError(f"{method}: {answer['error']}")
        if "result" not in answer:
            raise ConnectionError(f"{method}: what answers here is no chain")
        return answer["result"]

    @asynccontextmanager
    async def mining_what_is_left(
        self, look_every_seconds: float = LEFT_LOOK_SECONDS
    ) -> AsyncGenerator[None]:
        """Mine a block whenever transactions stay in the pool, until the block of code ends.

        A chain that mines each transaction at once overlooks one now and then when several come together, and
        would leave it until the next one comes.
        """
        mining = asyncio.create_task(self._mine_what_is_left(look_every_seconds))
        try:
            yield
        finally:
            mining.cancel()
            await asyncio.wait([mining])

    async def _mine_what_is_left(self, look_every_seconds: float) -> None:
        was_left = False
        while True:
            await asyncio.sleep(look_every_seconds)
            with contextlib.suppress(OSError, AnvilCallError):
                pool = await asyncio.to_thread(self.call, "txpool_status")
                is_left = any(int(number, 16) for number in pool.values())
                if was_left and is_left:
                    await asyncio.to_thread(self.call, "anvil_mine", "0x1")
                was_left = is_left

    def _prepare(self) -> LaunchPlan:
        # a killed chain leaves its states behind, and never reads them again
        shutil.rmtree(self._cache_folder, ignore_errors=True)
        arguments = [
            *("--host", self.host, "--port", str(self.port), "--quiet"),
            *("--chain-id", str(self.chain_id), "--gas-limit", str(self._gas_limit)),
            *("--accounts", str(self._accounts), "--mnemonic", self.mnemonic),
            *("--cache-path", str(self._cache_folder)),
        ]
        if self._kept_states is None:
            arguments.append("--prune-history")
        else:
            arguments += ["--max-persisted-states", str(self._kept_states)]
        if self._block_time_seconds is not None:
            arguments += ["--block-time", f"{self._block_time_seconds:g}"]
        if self._keep_state:
            self._repair_state()
            arguments += ["--state", str(self.state_file)]
            arguments += ["--state-interval", str(self._state_interval_seconds)]
        binary = anvil_binary(self._contracts_folder)
        return LaunchPlan([str(binary), *arguments, *self._extra_arguments])

    def checkpoint(self) -> None:
        """Keep a second copy of the state file, used if a kill cuts the first in the middle of a write."""
        if _is_json(self.state_file):
            unfinished = self._second_copy.with_suffix(".unfinished")
            shutil.copyfile(self.state_file, unfinished)
            if _is_json(unfinished):
                unfinished.replace(self._second_copy)

    @property
    def _cache_folder(self) -> Path:
        return self.folder / "states"

    @property
    def _second_copy(self) -> Path:
        return self.folder / "chain.second.json"

    def _repair_state(self) -> None:
        if self.state_file.exists() and not _is_json(self.state_file):
            self.state_file.unlink()
            if self._second_copy.exists():
                shutil.copyfile(self._second_copy, self.state_file)
        self.checkpoint()

    def _is_ready(self) -> bool:
        try:
            answer = self.call("eth_chainId", timeout_seconds=PROBE_TIMEOUT_SECONDS)
        except (OSError, ValueError, AnvilCallError):
            return False
        return int(answer, 16) == self.chain_id


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return True
