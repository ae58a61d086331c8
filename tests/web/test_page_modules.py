"""The pure modules of the page, tested where they can run: by node where there is one, else in the browser."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

from aiohttp import web
from tests.web.browsing import browsing

STATIC = Path(__file__).resolve().parents[2] / "src" / "pvbinder" / "web" / "static"
TESTS = Path(__file__).resolve().parent / "pure"
FILES = ("store", "journal", "columns", "words")
TESTS_MIN = 31


async def test_the_pure_modules_do_what_they_promise(tmp_path: Path) -> None:
    results = await (_in_node(tmp_path) if shutil.which("node") else _in_browser())
    failed = [f"{each['name']}\n{each['error']}" for each in results if each["error"]]
    assert not failed, "\n\n".join(failed)
    assert len(results) >= TESTS_MIN


def test_every_file_of_tests_is_run() -> None:
    files = {path.stem for path in TESTS.glob("*.mjs")} - {"check", "run"}
    assert files == set(FILES)
    for name in FILES:
        assert f"./{name}.mjs" in (TESTS / "run.mjs").read_text()


async def _in_node(folder: Path) -> list[dict[str, Any]]:
    copied = shutil.copytree(STATIC, folder / "static")
    (copied / "package.json").write_text('{"type": "module"}')  # so that node takes .js for what it is
    process = await asyncio.create_subprocess_exec(
        "node",
        str(TESTS / "run.mjs"),
        str(copied),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return list(json.loads(out))


async def _in_browser() -> list[dict[str, Any]]:
    async def empty(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>tests</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", empty)
    app.router.add_static("/static", STATIC)
    app.router.add_get("/tests/{name}", _module)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with browsing() as browser:
            tab = await browser.tab()
            await tab.go(f"http://127.0.0.1:{port}/")
            imports = ", ".join(f"import('/tests/{name}.mjs')" for name in FILES)
            script = f"""(async () => {{
                const {{ run }} = await import('/tests/check.mjs');
                return run((name) => import('/static/' + name), await Promise.all([{imports}]));
            }})()"""
            return list(await tab.run(script))
    finally:
        await runner.cleanup()


async def _module(request: web.Request) -> web.Response:
    path = TESTS / request.match_info["name"]
    return web.Response(body=path.read_bytes(), content_type="text/javascript")
