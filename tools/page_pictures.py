"""Take the pictures of the live page for the README and docs: `python -m tools.page_pictures DIR`.

They are of a control plane that is started for them, with examples in it, and of a dump. Each is a PNG below 150 kB.
Chromium is needed, and kubectl.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tools.browser import Browser, Tab, find
from tools.png import read, small

TOP = Path(__file__).resolve().parent.parent
BYTES_MAX = 150_000
UP = ("up", "--ephemeral", "--apply", "examples/quickstart", "--apply", "examples/dynamic-provisioning")
UP_LOADED = (*UP, "--load", "examples/audit/shop.yaml")
DUMP = ("page", "-f", "examples/monday/production.yaml")
STOP_SECONDS = 30.0
BOUND = "document.querySelector('[id=\"row:claim/default/photos\"] .state')?.innerText === 'Bound'"
SETTLED = f"{BOUND} && document.querySelectorAll('.row').length > 12"


@asynccontextmanager
async def served(command: Sequence[str]) -> AsyncIterator[str]:
    """Start pvbinder; give the link that it prints."""
    program = str(Path(sys.executable).parent / "pvbinder")
    process = await asyncio.create_subprocess_exec(
        program, *command, cwd=TOP, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if b"/enter?token=" in line:
                yield line.decode().split()[-1]
                break
        else:
            raise SystemExit(f"pvbinder {' '.join(command)} printed no link")
    finally:
        process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()


async def choose(tab: Tab, row: str, *, opens: bool = False) -> None:
    """Choose a row, and open its drawer."""
    await tab.click(f"[id='row:{row}']")
    if opens:
        await tab.press("Enter")
        await tab.until("document.querySelector('.drawer .lead')")


async def take(tab: Tab, folder: Path, name: str) -> None:
    """Write what is shown as a small PNG."""
    await tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    content = small(read(await tab.picture()))
    if len(content) > BYTES_MAX:
        raise SystemExit(f"{name} has {len(content)} bytes, and may have {BYTES_MAX}")
    (folder / f"{name}.png").write_bytes(content)
    print(f"{name}.png: {len(content)} bytes")


async def pictures(folder: Path) -> None:
    """Take all pictures."""
    program = find()
    if program is None:
        raise SystemExit("there is no Chromium: apt-get install chromium")
    async with Browser(program) as browser:
        async with served(UP_LOADED) as link:
            tab = await browser.tab()
            await tab.colours("light")
            await tab.go(link)
            await tab.until(SETTLED, seconds=120)
            await take(tab, folder, "page-light")
            await choose(tab, "claim/default/archive", opens=True)
            await take(tab, folder, "page-explain")
            await tab.colours("dark")
            await take(tab, folder, "page-dark")
            await tab.press("Escape", "Escape", "?")
            await tab.until("document.querySelector('dialog')")
            await take(tab, folder, "page-keys")
            await tab.press("Escape")
            await tab.until("!document.querySelector('dialog')")
            if await tab.run("document.querySelector('.timebar:not(.without)') !== null"):
                await tab.press("d", ",", ",", ",")
                await tab.until("document.querySelector('.decision-detail')")
                await take(tab, folder, "page-decisions")
                await tab.press("Escape", "l")
        async with served(DUMP) as link:
            tab = await browser.tab()
            await tab.go(link)
            await tab.until("document.querySelectorAll('.row').length > 8")
            await tab.size(390, 844, is_phone=True)
            await tab.until("document.querySelector('.column-tabs').clientHeight > 20")
            await take(tab, folder, "page-phone")


def main() -> int:
    """Write the pictures into the named folder."""
    if len(sys.argv) != 2:
        print("usage: python -m tools.page_pictures DIR", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(pictures(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
