"""A user's own way to the server, past every proxy: small, over TLS, patient while the server is away."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import yaml

Json: TypeAlias = dict[str, Any]

AWAY_SECONDS_MAX = 60.0  # how long a server may be away: it restarts, or is brought back from a backup


class Direct:
    """Requests as the user of a kubeconfig."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._token = token

    async def ask(self, method: str, path: str, body: Json | None = None, **query: str) -> tuple[int, Json]:
        """Return status and body of the answer; try again while nobody is there, so write what may be written twice."""
        until = asyncio.get_running_loop().time() + AWAY_SECONDS_MAX
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        data = json.dumps(body).encode() if body is not None else None
        while True:
            try:
                async with self._session.request(
                    method, self._url + path, data=data, headers=headers, params=query
                ) as answer:
                    text = await answer.read()
                    return answer.status, json.loads(text) if text.startswith(b"{") else {"text": text.decode()}
            except (aiohttp.ClientError, OSError):
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch, and give its lines."""
        headers = {"Authorization": f"Bearer {self._token}"}
        forever = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._url + path, headers=headers, timeout=forever) as answer:
            assert answer.status == 200, await answer.text()
            try:
                yield aiter(answer.content)
            finally:  # a watch isn't read to its end, and TLS's farewell would outlive the loop
                if answer.connection is not None and answer.connection.transport is not None:
                    answer.connection.transport.abort()

    async def items(self, path: str) -> list[Json]:
        """Return the objects of a list."""
        status, found = await self.ask("GET", path)
        assert status == 200, found
        items: list[Json] = found["items"]
        return items


@asynccontextmanager
async def direct(kubeconfig: Path) -> AsyncIterator[Direct]:
    """Open the way to the server of `kubeconfig`."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=str(kubeconfig.parent / "pki" / "ca.crt"))
    connector = aiohttp.TCPConnector(ssl=context, limit=20)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Direct(session, cluster["server"], user["token"])
