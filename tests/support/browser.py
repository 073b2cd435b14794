"""A headless Chromium for a test, driven by Playwright in a Node.js process.

async with Browser(tmp_path) as browser:
    await browser.run(f"await page.goto('{url}')")
"""

import asyncio
import itertools
import json
import shutil
from pathlib import Path
from typing import Any, Final, Self

from tests.support.npm import installed

PACKAGES: Final = ("axe-core@4.14.1", "playwright-core@1.65.1")
DRIVER: Final = Path(__file__).with_name("browser.mjs")


class Browser:
    """One browser with a profile of its own and one page.

    Args:
        folder: where the profile and the driver's log go.
        options: of Playwright's browser context, such as `colorScheme` or `viewport`; and `args` of the
            program.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self._folder = folder
        self._options = options
        self._numbers = itertools.count()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        program = shutil.which("chromium")
        assert program, "these tests need Chromium: apt install chromium"
        packages = await asyncio.to_thread(installed, *PACKAGES)
        profile = self._folder / "chromium"
        with (self._folder / "browser.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("node", str(DRIVER), program, str(profile), json.dumps(self._options)),
                cwd=packages,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=64 * 1024 * 1024,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def run(self, code: str, **values: object) -> Any:
        """What this JavaScript returns; it sees `page`, `browser`, `seen`, `axe`, and the values by name."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        given = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
        number = next(self._numbers)
        self._process.stdin.write(json.dumps({"id": number, "code": given + code}).encode() + b"\n")
        async with asyncio.timeout(60):
            line = await self._process.stdout.readline()
        assert line, f"the browser ended: {(self._folder / 'browser.log').read_text()[-2000:]}"
        answer = json.loads(line)
        assert answer["id"] == number
        assert "error" not in answer, answer.get("error")
        return answer["result"]
