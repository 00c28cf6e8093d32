"""A gateway as a process of its own, to be killed and measured."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp

from snowrail_testkit import Broker, eventually

from .support import Issuer

STOP_TIMEOUT_SECONDS = 15


class GatewayProcess:
    """`python -m snowrail_kit run snowrail_gateway` on a port that it keeps over restarts."""

    def __init__(self, broker: Broker, issuer: Issuer, port: int, **options: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {
            **os.environ,
            "SNOWRAIL_NATS_URL": broker.server.url,
            "SNOWRAIL_NATS_SEED": broker.identities.seeds["gateway"],
            "SNOWRAIL_NATS_MONITOR_URL": broker.server.monitor_url,
            "SNOWRAIL_JWT_PUBLIC_KEYS_FILE": str(issuer.jwks_file),
            "SNOWRAIL_HTTP_PORT": str(port),
            "SNOWRAIL_LOG_LEVEL": "ERROR",
            "SNOWRAIL_DRAIN_SECONDS": "0.1",
            **{f"SNOWRAIL_{name.upper()}": value for name, value in options.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running gateway."""
        assert self._process is not None, "the gateway runs"
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it hears the feed."""
        command = [sys.executable, "-m", "snowrail_kit", "run", "snowrail_gateway"]
        self._process = await asyncio.to_thread(
            subprocess.Popen, command, env=self._environment, stdin=subprocess.DEVNULL
        )
        async with aiohttp.ClientSession() as http:

            async def ready() -> bool:
                try:
                    async with http.get(f"{self.url}/health/ready") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await eventually(ready, 30)

    async def stop(self, *, kill: bool = False) -> None:
        """End it, by SIGKILL or as an orchestrator does."""
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_SECONDS)
        self._process = None


@asynccontextmanager
async def gateway_process(
    broker: Broker, issuer: Issuer, port: int, **options: str
) -> AsyncGenerator[GatewayProcess]:
    """Run a gateway process until the block ends."""
    gateway = GatewayProcess(broker, issuer, port, **options)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()
