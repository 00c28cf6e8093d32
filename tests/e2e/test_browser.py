"""The public origin in a real browser: what people find who open it."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect

from snowrail_local.stack import Stack
from snowrail_testkit import eventually

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


@pytest.fixture
def browser_folder() -> Iterator[Path]:
    """Profile of a running chromium, ended afterwards."""
    program = shutil.which("chromium")
    assert program is not None, "the browser tests need chromium: apt-get install chromium"
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Path(folder)
        finally:
            process.kill()
            process.wait(timeout=60)


class Page:
    """A page, driven over the DevTools protocol."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._last_id = 0
        self.failures: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a command, noting what the page complains of meanwhile."""
        self._last_id += 1
        await self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(await self._socket.recv())
            if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.failures.append(json.dumps(message["params"])[:500])
            if message.get("id") == self._last_id:
                return message.get("result", {})

    async def value(self, expression: str) -> Any:
        """Return the value of an expression, awaiting it where it is a promise."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        return answer.get("result", {}).get("value")  # nothing while the page is replaced


async def devtools_address(folder: Path) -> str | None:
    """Return where chromium listens, once it has written it down."""
    file = folder / "DevToolsActivePort"
    lines = file.read_text().splitlines() if file.exists() else []
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}" if len(lines) == 2 else None


async def test_the_origin_says_where_to_look_and_shields_its_page(stack: Stack, browser_folder: Path) -> None:
    address = await eventually(lambda: devtools_address(browser_folder), 60)
    async with connect(address, max_size=None) as browser:
        control = Page(browser)
        target = await control.call("Target.createTarget", url="about:blank")
        page_address = f"{address.rsplit('/devtools', 1)[0]}/devtools/page/{target['targetId']}"
        async with connect(page_address, max_size=None) as socket:
            page = Page(socket)
            await page.call("Runtime.enable")
            await page.call("Log.enable")
            await page.call("Page.navigate", url=stack.origin)

            async def loaded() -> bool:
                return await page.value(
                    "document.readyState === 'complete' && location.href !== 'about:blank'"
                )

            await eventually(loaded, 60)
            assert "Snowrail" in await page.value("document.body.innerText")
            links = await page.value("[...document.links].map(link => new URL(link.href).pathname)")
            assert any(path.endswith("/openapi.json") for path in links)
            own = "[...document.links].every(link => new URL(link.href).origin === location.origin)"
            assert await page.value(own), "every link stays on the public origin"
            injected = f"injected_{uuid4().hex}"
            await page.value(
                f"(() => {{ const script = document.createElement('script');"
                f" script.textContent = 'window.{injected} = 1'; document.body.append(script) }})()"
            )
            assert await page.value(f"window.{injected}") is None, "inline scripts must not run"
