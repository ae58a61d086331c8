"""What explain says, beside the rows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.insight.builders import DAY, UID, bound, claim, event, its, pod, storage_class, volume
from tests.virtual_time import on_virtual_time
from tests.web.visitor import Changing, view_of

from pvbinder.insight.claims import explain_claim
from pvbinder.insight.snapshot import Snapshot
from pvbinder.kube.errors import ApiFailure
from pvbinder.rules.plugins import NoPlugins
from pvbinder.web.asking import Questions
from pvbinder.web.judging import PAUSES, REFRESH_SECONDS, ROUND_SECONDS, Judgements, judgement
from pvbinder.web.rows import Judged

its_volume = volume("disk", phase="Bound", claimRef={"namespace": "shop", "name": "orders", "uid": UID})


class Here(Questions):
    """Questions that are answered on the loop, so that time is a test's; what they cost is said."""

    cost = 0.0
    rounds = 0
    fails = False

    async def beside(self, namespace: str, events: Sequence[Any], *, with_snapshots: bool) -> Any:
        self.rounds += 1
        if self.fails:
            raise ApiFailure(503, "", "not now")
        return await super().beside(namespace, events, with_snapshots=with_snapshots)

    async def aside(self, function: Any, *arguments: Any) -> Any:
        function(*arguments)
        return self.cost


@asynccontextmanager
async def judging(
    *documents: Any, beside: Sequence[Any] = ()
) -> AsyncIterator[tuple[Changing, Here, Judgements, list[str]]]:
    objects = Changing([view_of(each) for each in documents])
    questions = Here(objects, plugins=NoPlugins(), beside=list(beside))
    changed: list[str] = []
    judgements = Judgements(objects, questions, lambda kind, key: changed.append(f"{kind}/{key}"))
    objects.listen(lambda *_: judgements.note())
    looks = asyncio.Event()
    task = asyncio.get_running_loop().create_task(judgements.run(looks))
    await asyncio.sleep(5)
    assert questions.rounds == 0, "nobody looks"
    looks.set()
    await asyncio.sleep(0.001)
    try:
        yield objects, questions, judgements, changed
    finally:
        task.cancel()


@on_virtual_time
async def test_judging_1_it_is_what_explain_says() -> None:
    said = event("ProvisioningFailed", "the disk is full")
    documents = [claim(), storage_class()]
    async with judging(*documents, beside=[said]) as (objects, _, judgements, changed):
        expected = explain_claim(view_of(claim()), Snapshot([*documents, said]))
        view = objects.get("claim", "shop/orders")
        assert view is not None
        assert judgements.of(view) == Judged("bad", expected.summary)
        assert changed == ["claim/shop/orders"]


@pytest.mark.parametrize(
    ("document", "level", "words"),
    [
        (bound(), "ok", ""),
        (claim("photos", storageClassName="no"), "bad", "there is no StorageClass"),
        (pod(claims=("gone",)), "bad", "somebody must act for claim gone"),
    ],
)
def test_judging_1_what_is_fine_has_no_words(document: Any, level: str, words: str) -> None:
    snapshot = Snapshot([bound(), its(), storage_class()], known=("PersistentVolumeClaim", "StorageClass"))
    found = judgement(view_of(document), snapshot)
    assert found.level == level
    assert words in found.note


@on_virtual_time
async def test_judging_1_what_a_row_says_anyway_isnt_told_again() -> None:
    async with judging(bound(), its_volume, claim("photos", storageClassName="no"), storage_class()) as found:
        assert found[3] == ["claim/shop/photos"]


@on_virtual_time
async def test_judging_2_work_is_followed_by_rest() -> None:
    async with judging(claim(), storage_class()) as (objects, questions, _, _changed):
        assert questions.rounds == 1
        questions.cost = 2.0
        objects.put(view_of(volume("v")))
        await asyncio.sleep(ROUND_SECONDS + 0.01)
        assert questions.rounds == 2
        for _ in range(10):
            objects.put(view_of(volume("v")))
            await asyncio.sleep(0.1)
        await asyncio.sleep(PAUSES * 2.0 - 1.1)
        assert questions.rounds == 2, "a round that took two seconds has a long pause"
        await asyncio.sleep(0.2)
        assert questions.rounds == 3


async def test_judging_2_nothing_is_judged_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = Changing([view_of(claim()), view_of(storage_class())])
    threads: list[threading.Thread] = []
    monkeypatch.setattr(
        "pvbinder.web.judging.judgement",
        lambda *_: (threads.append(threading.current_thread()), Judged("bad", "x"))[1],  # type: ignore[func-returns-value]
    )
    done = asyncio.Event()
    questions = Questions(objects, plugins=NoPlugins())
    judgements = Judgements(objects, questions, lambda *_: done.set())
    looks = asyncio.Event()
    looks.set()
    task = asyncio.get_running_loop().create_task(judgements.run(looks))
    async with asyncio.timeout(30):
        await done.wait()
    task.cancel()
    questions.close()
    assert threads[0] is not threading.main_thread()


@on_virtual_time
async def test_judging_3_another_state_or_object_has_no_judgement_yet() -> None:
    async with judging(claim(), storage_class()) as (objects, questions, judgements, _):
        rounds = questions.rounds
        changed = view_of(claim(meta={"labels": {"a": "b"}}))
        assert judgements.of(changed) is not None, "the same object in the same state"
        assert judgements.of(view_of(bound())) is None
        assert judgements.of(view_of(claim(meta={"uid": "another"}))) is None
        await asyncio.sleep(REFRESH_SECONDS + ROUND_SECONDS)
        assert questions.rounds == rounds + 1, "time matters, too"
        objects.remove("claim", "shop/orders")
        await asyncio.sleep(2 * ROUND_SECONDS)
        assert not judgements._known


@on_virtual_time
async def test_judging_4_without_an_answer_everything_stays() -> None:
    async with judging(claim(), storage_class()) as (objects, questions, judgements, _):
        questions.fails = True
        objects.put(view_of(volume("v")))
        await asyncio.sleep(5 * ROUND_SECONDS)
        view = objects.get("claim", "shop/orders")
        assert view is not None
        assert judgements.of(view) is not None
        questions.fails = False
        before = questions.rounds
        await asyncio.sleep(REFRESH_SECONDS + 2)
        assert questions.rounds > before


def test_a_claim_that_goes_is_judged() -> None:
    going = claim(meta={"deletionTimestamp": f"{DAY}10:00:00Z", "finalizers": ["x.example/f"]})
    found = judgement(view_of(going), Snapshot([going]))
    assert found.note
