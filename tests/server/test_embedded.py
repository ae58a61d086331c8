"""The embedded server as a whole: ready when entered, gone when left, and the files of a killed one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server.serving import ADMIN, config_map

from pvbinder.server.embedded import NAMESPACES, EmbeddedServer
from pvbinder.server.requests import ApiRequest
from pvbinder.server.store import DataDirectoryError

PATIENCE_SECONDS = 60.0


def context_of(directory: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(directory / "pki" / "ca.crt"))
    context.load_cert_chain(directory / "pki" / "admin.crt", directory / "pki" / "admin.key")
    return context


async def ask(server: EmbeddedServer, path: str) -> Any:
    answer = await server.dispatcher.handle(ApiRequest("GET", path, user=ADMIN))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


async def test_embedded_1_it_is_ready_and_has_what_an_empty_kubernetes_has(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server, aiohttp.ClientSession() as client:
        async with client.get(f"{server.url}/readyz", ssl=context_of(tmp_path)) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        async with client.get(f"{server.url}/api/v1/namespaces", ssl=context_of(tmp_path)) as answer:
            names = {item["metadata"]["name"] for item in (await answer.json())["items"]}
        assert names == set(NAMESPACES)
        roles = await ask(server, "/apis/rbac.authorization.k8s.io/v1/clusterroles")
        assert "cluster-admin" in {item["metadata"]["name"] for item in roles["items"]}


async def test_embedded_1_who_shows_no_certificate_may_only_ask_for_health_and_version(tmp_path: Path) -> None:
    trusting = ssl.create_default_context()
    async with EmbeddedServer(tmp_path) as server, aiohttp.ClientSession() as client:
        trusting.load_verify_locations(server.identity.authority)
        statuses = {}
        for path in ("/healthz", "/livez", "/readyz", "/version", "/api", "/api/v1/namespaces"):
            async with client.get(server.url + path, ssl=trusting) as answer:
                statuses[path] = answer.status
        headers = {"Authorization": "Bearer guess"}
        async with client.get(f"{server.url}/version", ssl=trusting, headers=headers) as answer:
            statuses["with a wrong token"] = answer.status
    assert statuses == {
        "/healthz": 200,
        "/livez": 200,
        "/readyz": 200,
        "/version": 200,
        "/api": 403,
        "/api/v1/namespaces": 403,
        "with a wrong token": 401,
    }


async def test_embedded_2_when_it_is_left_the_watches_have_ended_and_the_directory_is_free(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as client:
        async with EmbeddedServer(tmp_path) as server:
            with pytest.raises(DataDirectoryError, match="another pvbinder"):
                async with EmbeddedServer(tmp_path):
                    pass
            watch = await client.get(
                f"{server.url}/api/v1/namespaces?watch=true&resourceVersion={server.store.revision}",
                ssl=context_of(tmp_path),
            )
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await watch.read() == b""
    async with EmbeddedServer(tmp_path, listen=False) as again:
        assert len((await ask(again, "/api/v1/namespaces"))["items"]) == len(NAMESPACES)


async def test_embedded_3_an_ephemeral_one_leaves_nothing_behind() -> None:
    async with EmbeddedServer(listen=False) as server:
        directory = server.data_dir
        assert directory.is_dir()
    assert not directory.exists()


# ------------------------------------------------------------------------------------------------ kill -9

SERVER = """
import asyncio, pathlib, sys
from pvbinder.server.embedded import EmbeddedServer

async def main():
    async with EmbeddedServer(pathlib.Path(sys.argv[1])) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
WRITERS = 16
ENOUGH = 600  # acknowledged writes before the process is killed


class Acknowledged:
    """What the server has said yes to: for each object its last acknowledged state, and the one asked for since."""

    def __init__(self) -> None:
        self.states: dict[str, str | None] = {}
        self.asked: dict[str, str | None] = {}
        self.revision = 0
        self.count = 0
        self.enough = asyncio.Event()

    def said_yes(self, name: str, state: str | None, revision: int) -> None:
        self.states[name] = state
        self.revision = max(self.revision, revision)
        self.count += 1
        if self.count >= ENOUGH:
            self.enough.set()


async def write_until_killed(client: aiohttp.ClientSession, base: str, number: int, said: Acknowledged) -> None:
    """Create, change and delete config maps of our own as fast as it goes, until the connection breaks."""
    turn = 0
    while True:
        name = f"w{number}-{turn % 4}"
        turn += 1
        known = said.states.get(name)
        if known is None:
            said.asked[name] = str(turn)
            answer = await client.post(base, json=config_map(name, n=str(turn)))
        elif turn % 7 == 0:
            said.asked[name] = None
            answer = await client.delete(f"{base}/{name}")
        else:
            said.asked[name] = str(turn)
            answer = await client.put(f"{base}/{name}", json=config_map(name, n=str(turn)))
        body = await answer.json()
        assert answer.status in (200, 201), body
        revision = int(body["metadata"].get("resourceVersion") or 0)
        said.said_yes(name, said.asked[name], revision)


async def test_what_was_acknowledged_survives_a_kill_in_the_middle_of_a_write_load(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, str(tmp_path), stdout=subprocess.PIPE)
    said = Acknowledged()
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            url = (await process.stdout.readline()).decode().strip()
        assert url.startswith("https://")
        base = f"{url}/api/v1/namespaces/default/configmaps"
        connector = aiohttp.TCPConnector(ssl=context_of(tmp_path), limit=WRITERS)
        async with aiohttp.ClientSession(connector=connector) as client:
            writers = [asyncio.ensure_future(write_until_killed(client, base, n, said)) for n in range(WRITERS)]
            async with asyncio.timeout(PATIENCE_SECONDS):
                enough = asyncio.ensure_future(said.enough.wait())
                await asyncio.wait([enough, *writers], return_when=asyncio.FIRST_COMPLETED)
                os.kill(process.pid, signal.SIGKILL)
                results = await asyncio.gather(*writers, return_exceptions=True)
            assert said.enough.is_set(), results
            enough.cancel()
        assert all(isinstance(result, aiohttp.ClientError | ConnectionError) for result in results), results
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()

    async with EmbeddedServer(tmp_path, listen=False) as server:
        listed = await ask(server, "/api/v1/namespaces/default/configmaps")
        found = {item["metadata"]["name"]: item["data"]["n"] for item in listed["items"]}
        assert server.store.revision > said.revision
    assert said.count >= ENOUGH
    for name, state in said.states.items():
        # the write that was under way when the process died may have been made or not
        assert found.get(name) in (state, said.asked[name]), f"{name}: acknowledged {state}, asked {said.asked[name]}"
    assert set(found) <= set(said.asked)


async def test_embedded_5_in_memory_it_leaves_the_disk_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monday = datetime(2026, 3, 2, 9, tzinfo=UTC)

    async with EmbeddedServer(listen=False, in_memory=True, now=lambda: monday) as server:
        made = await server.dispatcher.handle(
            ApiRequest(
                "POST", "/api/v1/namespaces/default/configmaps", user=ADMIN, body=json.dumps(config_map("a")).encode()
            )
        )
        assert made.status == 201, made.body
        assert json.loads(made.body)["metadata"]["creationTimestamp"] == "2026-03-02T09:00:00Z"
        assert not list(tmp_path.iterdir())


def test_embedded_5_in_memory_there_is_no_place_for_a_directory() -> None:
    with pytest.raises(ValueError, match="in memory"):
        EmbeddedServer(Path("/nowhere"), listen=False, in_memory=True)


async def test_embedded_5_in_memory_it_listens_with_certificates_that_are_gone_at_the_end() -> None:
    async with EmbeddedServer(in_memory=True) as server:
        directory = server.data_dir
        assert (directory / "pki").is_dir()
        assert not list(directory.rglob("*.db"))
        assert server.url.startswith("https://")
    assert not directory.exists()
