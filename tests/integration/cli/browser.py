"""A headless Chromium, spoken to over DevTools' pipe: opens a page, reads it, takes its picture."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
LINE_BYTES_MAX = 1 << 26  # a picture comes as one message


def chromium() -> str | None:
    """Path of a Chromium on this machine."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class BrowserPage:
    """One page of the browser."""

    def __init__(self, reader: asyncio.StreamReader, write_to: int) -> None:
        self._reader, self._write_to = reader, write_to
        self._session = ""
        self._sent = 0

    async def send_command(self, method: str, **params: object) -> dict[str, Any]:
        """Send one DevTools command and return its answer; skip other messages."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write_to, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            if answer.get("id") == self._sent:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    async def attach(self) -> None:
        targets = (await self.send_command("Target.getTargets"))["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = await self.send_command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    async def evaluate(self, javascript: str) -> object:
        found = await self.send_command("Runtime.evaluate", expression=javascript)
        return found["result"].get("value")

    async def open(self, url: str, *shows: str) -> str:
        """Go to ``url`` and wait until the page shows every text; gives all of the page's text."""
        await self.send_command("Page.navigate", url=url)
        return await self.wait_for_text("document.body.innerText", *shows)

    async def wait_for_text(self, javascript: str, *shows: str, seconds: float = 60) -> str:
        """Wait until the value of an expression holds every text; gives the value."""
        text = ""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    text = str(await self.evaluate(javascript) or "")
                    if all(one in text for one in shows):
                        return text
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"{shows} not all in {text!r}") from None

    async def save_screenshot(self, path: Path) -> None:
        shot = await self.send_command("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def running_browser(
    program: str, profile: Path, size: str = "1400,1000"
) -> AsyncIterator[BrowserPage]:
    """Start a browser and end it afterwards. DevTools reads from file 3 and writes to file 4."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    options = f"--headless --no-sandbox --disable-gpu --hide-scrollbars --window-size={size}"
    start = f'exec "$0" {options} --user-data-dir="$1" --remote-debugging-pipe about:blank'
    process = await asyncio.create_subprocess_exec(
        "/bin/bash",  # sh may know no file number above 9
        "-c",
        f"exec 8<&{to_read} 9>&{from_write}; {start} 3<&8 4>&9",
        program,
        str(profile),
        pass_fds=(to_read, from_write),
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(from_write)
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(from_read, "rb")
    )
    try:
        page = BrowserPage(reader, to_write)
        await page.attach()
        yield page
    finally:
        process.terminate()
        await process.wait()
        transport.close()
        os.close(to_write)
