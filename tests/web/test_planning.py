"""Plans that a process of its own makes."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
import yaml
from tests.insight.builders import storage_class, volume
from tests.web.visitor import Changing, source_of, view_of, visiting

from pvbinder.web.plan_process import answer
from pvbinder.web.planning import PlanRefusedError, Plans, PlanTask

NEW = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: orders, namespace: default}
spec: {storageClassName: "", accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
DISK: Any = volume("disk", "5Gi", storageClassName=None, meta={"uid": "u-1", "resourceVersion": "7"})


def told(manifests: str) -> str:
    return answer(PlanTask(manifests, [("dump", DISK)])).error


def test_planning_1_it_is_what_plan_says(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    from pvbinder.cli.main import run

    (tmp_path / "dump.yaml").write_text(yaml.safe_dump(DISK))
    (tmp_path / "new.yaml").write_text(NEW)
    assert run(["plan", "-f", str(tmp_path / "new.yaml"), "--against", str(tmp_path / "dump.yaml")]) == 0
    written = "2026-03-01T10:00:00Z"
    made = answer(PlanTask(NEW, [("dump", DISK)], written))
    assert made.error == ""
    assert made.text + "\n" == capsys.readouterr().out
    assert "disk" in made.text
    assert b'"kind":"Plan"' in bytes(made.report)


@pytest.mark.parametrize(
    ("manifests", "words"),
    [
        ("", "no objects"),
        ("a: [", "the manifests"),
        ("just words", "the manifests"),
        (yaml.safe_dump(DISK), "has the uid and the resourceVersion of a cluster"),
        ("&a [*a, *a]", "the manifests"),
        ("kind: X\n---\n\x00", "the manifests"),
    ],
)
def test_planning_4_what_is_no_manifest_is_refused(manifests: str, words: str) -> None:
    assert words in told(manifests)


async def test_planning_4_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(PlanRefusedError, match="UTF-8"):
        await Plans().plan(b"\xff\xfe", [])


async def test_planning_3_a_plan_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/sleep")
    pids: list[int] = []
    start = asyncio.create_subprocess_exec

    async def sleep(*_: str, **rest: Any) -> asyncio.subprocess.Process:
        process = await start("/bin/sleep", "1000", **rest)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", sleep)
    plans = Plans(seconds_max=0.05)
    waiting = asyncio.get_running_loop().create_task(plans.plan(NEW.encode(), []))
    while not pids:
        await asyncio.sleep(0)
    with pytest.raises(PlanRefusedError, match="another plan"):
        await plans.plan(NEW.encode(), [])
    with pytest.raises(PlanRefusedError, match="took longer"):
        await waiting
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_planning_3_a_process_that_breaks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(PlanRefusedError, match="exit code 1"):
        await Plans().plan(NEW.encode(), [])


@pytest.mark.slow
async def test_planning_2_the_page_answers_while_a_plan_is_made() -> None:
    async def state() -> Any:
        return [("dump", DISK)], ["a note of the page"], None

    async with visiting(source_of(Changing([view_of(storage_class())]), plan_state=state)) as (visitor, _):
        assert (await visitor.ask("/api/info")).json()["plan"]
        waiting = asyncio.get_running_loop().create_task(visitor.ask("/api/plan", method="POST", body=NEW.encode()))
        answers = 0
        while not waiting.done():
            assert (await visitor.ask("/api/info")).status == 200
            answers += 1
        made = await waiting
        assert made.status == 200, made.body
        assert answers > 10
        assert made.json()["text"].startswith("1 claim: 1 gets storage")
        assert made.json()["report"]["claims"][0]["volume"] == "disk"
        assert "a note of the page" in made.json()["text"]
        wrong = await visitor.ask("/api/plan", method="POST", body=b"a: [")
        assert wrong.status == 400
        assert wrong.json()["error"]
