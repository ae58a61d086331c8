"""The measures of `pvbinder bench` against a real API server (BENCH-1, BENCH-2)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.controllers.cluster import Cluster, claim, cluster, volume

from pvbinder.bench import cases
from pvbinder.bench.cases import NobodyBindsError, run_all, watching
from pvbinder.bench.place import bench_place
from pvbinder.bench.process import Process, UnknownProcessError
from pvbinder.cli import bench as command
from pvbinder.cli import main
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import CLAIMS, NAMESPACES, VOLUMES

BINDER_AND_PROTECTION = ControllerOptions(controllers="*")
NO_CONTROLLERS = ControllerOptions(controllers="")


@pytest.fixture
async def running() -> AsyncIterator[Cluster]:
    async with cluster(BINDER_AND_PROTECTION) as found:
        yield found


async def left_in(found: Cluster) -> set[str]:
    """What there is of volumes, claims and namespaces."""
    namespaces = [one for one in await found.client.list_all(NAMESPACES) if not one.is_deleting]
    volumes, claims = await found.client.list_all(VOLUMES), await found.client.list_all(CLAIMS)
    return {*(one.key for one in volumes), *(one.key for one in claims), *(one.key for one in namespaces)}


@pytest.mark.slow
async def test_bench_2_every_case_is_measured_and_nothing_is_left(running: Cluster) -> None:
    await running.create(volume("mine"), claim("mine"))
    await running.until(lambda: len(running.of(CLAIMS)) == 1)
    before = await left_in(running)
    told: list[str] = []
    async with bench_place(running.client) as place:
        figures = await run_all(
            place,
            pairs=5,
            burst_claims=3,
            steady_claims=2,
            per_second=50.0,
            tell=told.append,
            process=Process(os.getpid()),
        )

    assert [figure.case for figure in figures] == [
        "steady, median",
        "steady, 99th percentile",
        "burst",
        "backlog",
        "writes a bind",
        "processor time a bind",
        "ceiling",
    ]
    assert all(figure.value > 0 for figure in figures if figure.case != "processor time a bind")
    assert [figure.count for figure in figures] == [2, 2, 3, 5, 5, 5, 5]
    assert figures[4].value == 4.0, "a bind is four writes"
    assert len(told) == 4
    assert await left_in(running) == before
    lines = command.table(figures)
    assert re.fullmatch(r"backlog +[\d.e+]+ binds/s +5  \d+\.\d\d", lines[4])


async def test_bench_1_only_its_own_is_touched(running: Cluster) -> None:
    async with bench_place(running.client) as place:
        await place.make_volumes(range(2))
        await place.make_claims(range(2))
        await running.until(lambda: len(running.of(CLAIMS)) == 2)
        made = [*running.of(VOLUMES), *running.of(CLAIMS)]
        assert all(one.labels == {"pvbinder.dev/bench": place.run} for one in made)
        assert all(one.storage_class == place.storage_class for one in made)
        assert {one.namespace for one in running.of(CLAIMS)} == {place.namespace}


async def test_bench_2_what_was_made_is_gone_after_a_failure_too(running: Cluster) -> None:
    before = await left_in(running)
    with pytest.raises(LookupError):  # noqa: PT012
        async with bench_place(running.client) as place:
            await place.make_volumes(range(2))
            raise LookupError
    assert await left_in(running) == before


async def test_where_nobody_binds_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster(NO_CONTROLLERS) as found, bench_place(found.client) as place:
        async with watching(place) as (volumes, _):
            with pytest.raises(NobodyBindsError, match="1 objects are not Available after 0 s") as raised:
                await volumes.wait_for(["disk"], seconds=0.01)
        assert "does a binder run" in (raised.value.hint or "")
    assert cases.WAIT_SECONDS == 300.0


def kubeconfig(folder: Path, server: str) -> Path:
    path = folder / "config"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: far\n"
        f"clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n"
        "users: [{name: u, user: {token: t}}]\ncontexts: [{name: far, context: {cluster: c, user: u}}]\n"
    )
    return path


def test_a_cluster_elsewhere_is_not_loaded_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = kubeconfig(tmp_path, "https://k8s.example:6443")

    assert main.run(["bench", "--kubeconfig", str(path)]) == 2
    said = capsys.readouterr().err
    assert "https://k8s.example:6443 (context far) is not on this machine" in said
    assert "--yes" in said


def test_a_server_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")

    assert main.run(["bench", "--kubeconfig", str(path)]) == 3
    assert "no connection for POST /api/v1/namespaces" in capsys.readouterr().err


async def test_a_second_ctrl_c_does_not_stop_the_clean_up(running: Cluster) -> None:
    before = await left_in(running)
    entered = asyncio.Event()

    async def work() -> None:
        async with bench_place(running.client) as place:
            await place.make_volumes(range(2))
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await left_in(running) == before


def test_the_time_of_a_process_that_there_is_not_is_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert Process(os.getpid()).cpu_seconds() > 0
    with pytest.raises(UnknownProcessError, match="process 999999999"):
        Process(999_999_999).cpu_seconds()
    with pytest.raises(SystemExit) as ended:
        main.main(["bench", "--pid", "999999999", "--kubeconfig", "nowhere"])
    assert ended.value.code
    assert "processor time of process 999999999 can't be read" in capsys.readouterr().err
