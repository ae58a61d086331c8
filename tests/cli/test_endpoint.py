"""Metrics and health over TLS, for those whom a real API server knows (HEALTH-1 to HEALTH-3)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from tests.controllers.cluster import ADMIN, Breakable

from pvbinder.cli.endpoint import Answers, answering, checks
from pvbinder.cli.options import ControlOptions, SecureOptions
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Client
from pvbinder.kube.election import Election
from pvbinder.kube.election_options import ElectionOptions
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.transport import Answer, Request
from pvbinder.metrics.metrics import Metrics
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo
from pvbinder.server.wire.http import ListenError

TOKENS = {"good": UserInfo("prometheus", groups=("system:monitoring",)), "poor": UserInfo("somebody")}
SECURE = SecureOptions(
    host="127.0.0.1",
    port=0,
    certificate=None,
    client_ca=None,
    tls_version="VersionTLS12",
    authentication=None,
    authorization=None,
    looks_up_authority=True,
    always_allowed=("/healthz", "/readyz", "/livez"),
    token_seconds=10,
    allowed_seconds=10,
    denied_seconds=10,
)
OPTIONS = ControlOptions(
    kubeconfig=None, context=None, controllers=ControllerOptions(), metrics=None, verbosity=0, log_format="text"
)


def away(_request: Request) -> Answer | None:
    raise ConnectionFailed("broken by the test")


@asynccontextmanager
async def endpoint(
    directory: Path,
    secure: SecureOptions | None = SECURE,
    metrics: tuple[str, int] | None = None,
    *,
    bare: bool = True,
) -> AsyncGenerator[tuple[str, Breakable, EmbeddedServer]]:
    """An endpoint, the line on which it asks, and the server of that."""
    async with EmbeddedServer(directory / "data", tokens=TOKENS, bare=bare) as server:
        line = Breakable(InProcessTransport(server.dispatcher, ADMIN))
        answers = Answers(Metrics(), {}, {"controllers": lambda: "they don't run"}, "/metrics")
        async with answering(replace(OPTIONS, secure=secure, metrics=metrics), answers, line) as urls:
            yield urls, line, server


async def get(url: str, token: str = "", tls: ssl.SSLContext | bool = False) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls, headers=headers) as answer:
        return answer.status


async def test_health_3_over_tls_the_api_server_says_who_may_ask(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as (url, line, _):
        assert url.startswith("https://127.0.0.1:")
        assert [await get(url, token) for token in ("good", "poor", "wrong", "")] == [200, 403, 401, 403]
        health = url.removesuffix("/metrics")
        line.before = away
        assert [await get(f"{health}{path}") for path in ("/livez", "/readyz")] == [200, 500]
        assert await get(url) == 403  # remembered
        async with aiohttp.ClientSession() as session, session.post(url, ssl=False, data=b"x" * 100_000) as answer:
            assert answer.status == 405


async def test_client_certificates_of_the_cluster_count(tmp_path: Path) -> None:
    async with endpoint(tmp_path, bare=False) as (url, line, _):
        async with asyncio.timeout(20):
            while not line.asked("GET", "extension-apiserver-authentication"):
                await asyncio.sleep(0.01)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        pki = tmp_path / "data" / "pki"
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        assert await get(url, tls=context) == 200


async def test_both_ways_at_once_and_neither(tmp_path: Path) -> None:
    async with endpoint(tmp_path / "both", metrics=("127.0.0.1", 0)) as (urls, _, _):
        plain, secure = urls.split(",")
        assert (plain.startswith("http://"), secure.startswith("https://")) == (True, True)
        assert await get(plain) == 200
    async with endpoint(tmp_path / "neither", secure=None) as (urls, _, _):
        assert urls == ""


@pytest.mark.parametrize("waits", [False, True])
async def test_health_2_what_is_told_while_caches_fill(waits: bool) -> None:
    async with EmbeddedServer(listen=False) as server:
        line = Breakable(InProcessTransport(server.dispatcher, ADMIN), away)
        elections = [Election(Client(line), "lease", ElectionOptions("default"))] if waits else []
        never = asyncio.Event()

        async def lead(_work: object) -> None:
            await never.wait()

        manager = Manager(line, lead=lead if waits else None)
        live, ready = checks(manager, elections)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(manager.run())
            await asyncio.sleep(0)
            assert live["leader-election"]() is None  # HEALTH-1
            unfilled = ready["informer-sync"]()
            assert unfilled is not None
            assert "persistentvolumes" in unfilled
            assert ready["controllers"]() == (None if waits else "the controllers don't run yet")
            line.before = lambda _: None
            async with asyncio.timeout(20):
                await manager.informers.wait_synced()
                if not waits:
                    await manager.wait_ready()
            assert [check() for check in ready.values()] == [None, None]
            running.cancel()


async def test_health_1_a_leader_that_goes_on_after_its_lease_is_no_life() -> None:
    now = 0.0
    async with EmbeddedServer(listen=False) as server:
        line = InProcessTransport(server.dispatcher, ADMIN)
        election = Election(Client(line), "lease", ElectionOptions("default"), clock=lambda: now)
        live, ready = checks(Manager(line), [election])
        began = asyncio.Event()

        async def work() -> None:
            began.set()
            await asyncio.Event().wait()

        leading = asyncio.create_task(election.run(work))
        async with asyncio.timeout(20):
            await began.wait()
        assert live["leader-election"]() is None
        now = 36.0
        assert "failed election" in str(live["leader-election"]())
        assert set(ready) == {"informer-sync", "controllers"}
        leading.cancel()
        await asyncio.wait([leading])


async def test_two_processes_share_a_port_if_both_want_it(tmp_path: Path) -> None:
    async with endpoint(tmp_path / "a", replace(SECURE, shares_port=True)) as (url, _, _):
        port = int(url.rpartition(":")[2].partition("/")[0])
        again = replace(SECURE, shares_port=True, port=port, directory=tmp_path / "certificates")
        async with endpoint(tmp_path / "b", again) as (other, _, _):
            assert other == url
            assert (tmp_path / "certificates" / "pvbinder.crt").exists()
        with pytest.raises(ListenError, match="can't listen"):
            async with endpoint(tmp_path / "c", replace(SECURE, port=port)):
                pass
