"""A browser for tests, figures and pictures: Chromium without a window, driven through its DevTools protocol.

BROWSER-1  What a page complains of is kept: exceptions, errors on the console, violations of its policy, failures.
BROWSER-2  Nothing waits for a time to pass: conditions are awaited in the page, from one frame to the next.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import tempfile
from types import TracebackType
from typing import Any, Self

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--metrics-recording-only",
    "--mute-audio",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0

KEY_CODES = {
    "ArrowDown": 40,
    "ArrowUp": 38,
    "ArrowLeft": 37,
    "ArrowRight": 39,
    "Enter": 13,
    "Escape": 27,
    "Home": 36,
    "End": 35,
    "PageUp": 33,
    "PageDown": 34,
    "Tab": 9,
    "Backspace": 8,
}


def find() -> str | None:
    """Return the path of a Chromium, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class PageError(AssertionError):
    """A script in the page failed, or a condition didn't come true."""


class Tab:
    """One page in the browser, with a store of cookies of its own."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.complaints: list[str] = []
        self.requested: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol for this page."""
        return await self._browser.call(method, self._session, **params)

    async def go(self, url: str) -> None:
        """Open an address, and return when its document has been read."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def run(self, script: str) -> Any:
        """Return the value of an expression in the page; a promise is awaited."""
        answer = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details.get("text"))
        return answer["result"].get("value")

    async def until(self, condition: str, *, seconds: float = 30.0) -> Any:
        """Return the value of an expression as soon as it is true; fail with what the page shows if it never is."""
        script = f"""new Promise((resolve) => {{
            const end = performance.now() + {seconds * 1000};
            const look = () => {{
                let value = false;
                try {{ value = ({condition}); }} catch (error) {{ value = false; }}
                if (value) resolve({{ value }});
                else if (performance.now() > end) resolve(null);
                else requestAnimationFrame(look);
            }};
            look();
        }})"""
        for _ in range(2):  # the document may be replaced while we wait: once more in the new one
            try:
                found = await self.run(script)
            except PageError as error:
                if "context was destroyed" not in str(error) and "navigated" not in str(error):
                    raise
                continue
            if found is None:
                shown = await self.run("document.body.innerText.slice(0, 3000)")
                raise PageError(f"never true: {condition}\ncomplaints: {self.complaints}\nshown:\n{shown}")
            return found["value"]
        raise PageError(f"the page was replaced twice while waiting for: {condition}")

    async def texts(self, selector: str) -> list[str]:
        """Return the text of each element that a selector finds."""
        found = await self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((each) => each.innerText)")
        return list(found)

    async def press(self, *keys: str, shift: bool = False) -> None:
        """Press keys, one after the other: names (`ArrowDown`) or characters."""
        for key in keys:
            params: dict[str, Any] = {"key": key, "modifiers": 8 if shift else 0}
            if key in KEY_CODES:
                params["windowsVirtualKeyCode"] = KEY_CODES[key]
                params["code"] = key
            if key == "Enter":
                params["text"] = "\r"
            if len(key) == 1:
                params["text"] = key
            await self.call("Input.dispatchKeyEvent", type="keyDown", **params)
            params.pop("text", None)
            await self.call("Input.dispatchKeyEvent", type="keyUp", **params)

    async def type(self, text: str) -> None:
        """Put a text in where the keyboard is, as a paste would."""
        await self.call("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element."""
        box = await self.run(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
        )
        await self.click_at(*box)

    async def click_at(self, x: float, y: float) -> None:
        """Press the mouse at a point."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = "none" if kind == "mouseMoved" else "left"
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1)

    async def size(self, width: int, height: int, *, is_phone: bool = False, scale: float = 1) -> None:
        """Give the page a window of this size."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=is_phone,
        )
        await self.call("Emulation.setTouchEmulationEnabled", enabled=is_phone)

    async def colours(self, name: str) -> None:
        """Have the system prefer `dark` or `light`."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def picture(self, scale: float = 1) -> bytes:
        """Return what is shown, as PNG, `scale` times as large."""
        await self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        params: dict[str, Any] = {}
        if scale != 1:
            size = await self.run("[innerWidth, innerHeight]")
            params["clip"] = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": scale}
        answer = await self.call("Page.captureScreenshot", format="png", **params)
        return base64.b64decode(answer["data"])

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Take an event of the protocol in."""
        match method:
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description") or details["text"])
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.complaints.append(
                    " ".join(str(each.get("value", each.get("description"))) for each in params["args"])
                )
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                entry = params["entry"]
                self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])
            case _:
                pass


class Browser:
    """A Chromium with an empty profile. Use with ``async with``; it ends with the context."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._asked = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tabs: dict[str, Tab] = {}

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="pvbinder-browser-", ignore_cleanup_errors=True)
        self._process = await asyncio.create_subprocess_exec(
            self._program,
            *FLAGS,
            f"--user-data-dir={self._folder.name}",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                url = await self._address()
            self._client = aiohttp.ClientSession()
            self._socket = await self._client.ws_connect(url, max_msg_size=0)
        except BaseException:
            self._kill()
            raise
        self._listening = asyncio.create_task(self._listen())
        return self

    async def _address(self) -> str:
        assert self._process.stderr is not None
        lines = []
        async for line in self._process.stderr:
            text = line.decode(errors="replace").strip()
            lines.append(text)
            if text.startswith("DevTools listening on "):
                self._draining = asyncio.create_task(self._drain())
                return text.removeprefix("DevTools listening on ")
        raise PageError("Chromium doesn't start: " + "\n".join(lines[-20:]))

    async def _drain(self) -> None:
        assert self._process.stderr is not None
        while await self._process.stderr.read(65536):
            pass

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.cancel()
        await self._client.close()
        self._kill()  # its profile goes, too: there is nothing to save
        await self._process.wait()
        self._draining.cancel()
        self._folder.cleanup()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result."""
        self._asked += 1
        message: dict[str, Any] = {"id": self._asked, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._asked] = answer
        await self._socket.send_str(json.dumps(message))
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer

    async def _listen(self) -> None:
        async for message in self._socket:
            data = json.loads(message.data)
            if "id" in data:
                answer = self._answers.pop(data["id"], None)
                if answer is None or answer.done():
                    continue
                if "error" in data:
                    answer.set_exception(PageError(data["error"]["message"]))
                else:
                    answer.set_result(data["result"])
            elif tab := self._tabs.get(data.get("sessionId", "")):
                tab.hear(data["method"], data["params"])
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(PageError("the browser has ended"))

    async def tab(self, *, width: int = 1280, height: int = 800) -> Tab:
        """Open a page that shares nothing with the others."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        tab = Tab(self, session)
        self._tabs[session] = tab
        for part in ("Page", "Runtime", "Log", "Network"):
            await tab.call(f"{part}.enable")
        await tab.size(width, height)
        return tab
