"""Storage is destroyed only on proof: answers that are missing or wrong cost nobody data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.controllers.binder.test_controller import binder_of, events_about, until_claim, until_volume
from tests.controllers.binder.test_provisioner import HOST_PATH, operations_done, options, wanting
from tests.controllers.binder.test_recycler_pods import delete_claim
from tests.controllers.cluster import Cluster, claim, cluster, storage_class, volume
from tests.virtual_time import on_virtual_time

from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json, encode

TEXT = Answer(404, b"404 page not found", {"content-type": "text/plain"})
CLAIM_LIST: Json = {"kind": "PersistentVolumeClaimList", "apiVersion": "v1", "items": []}


def not_found(plural: str, name: str) -> Answer:
    details = {"name": name, "kind": plural}
    status = {"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "no", "details": details}
    return Answer(404, encode(status))


ANSWERS = {  # false answers to all requests for claims, lists and reads, for a while
    "404 of a proxy": TEXT,
    "404 of another kind": not_found("persistentvolumes", "orders-0"),
    "404 of an aggregator": Answer(404, encode({"kind": "Status", "reason": "NotFound", "details": {}})),
    "403": Answer(403, encode({"kind": "Status", "reason": "Forbidden", "message": "no"})),
    "an empty list": Answer(200, encode(CLAIM_LIST | {"metadata": {"resourceVersion": "100000"}})),
    "an old list": Answer(200, encode(CLAIM_LIST | {"metadata": {"resourceVersion": "1"}})),
    "a list without revision": Answer(200, encode(CLAIM_LIST | {"metadata": {}})),
    "a list of another kind": Answer(200, encode(CLAIM_LIST | {"kind": "PodList"})),
    "a list cut off": Answer(200, encode(CLAIM_LIST)[:-2]),
}


def answers_all(ending: str, answer: Answer) -> Callable[[Request], Answer | None]:
    """Answer every GET of the kind, lists and single objects, with `answer`."""
    return lambda request: answer if request.method == "GET" and f"/{ending}" in request.path else None


async def three_bound(c: Cluster, root: Path) -> None:
    for number in range(3):
        (root / f"disk-{number}").mkdir()
        made = volume(
            f"disk-{number}", hostPath={"path": f"{root}/disk-{number}"}, persistentVolumeReclaimPolicy="Delete"
        )
        await c.create(made, claim(f"orders-{number}", volumeName=f"disk-{number}"))
        await until_claim(c, f"orders-{number}", "Bound")
    await c.settle()


async def with_fault(c: Cluster, informer: object, fault: Callable[[Request], Answer | None], seconds: float) -> None:
    """Have the watch of the kind expire, so that it is listed anew, and the fault answer for some time."""
    c.line.before = fault
    informer._list_anew()  # type: ignore[attr-defined]
    await asyncio.sleep(seconds)
    for name in ("disk-0", "disk-1", "disk-2"):
        binder_of(c).binder.volumes.add(name)  # type: ignore[arg-type]
    await asyncio.sleep(seconds)
    c.line.before = lambda _: None


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@on_virtual_time
async def test_writes_1_no_data_is_deleted_behind_wrong_answers_about_claims(tmp_path: Path, answer: Answer) -> None:
    async with cluster(options(tmp_path)) as c:
        await three_bound(c, tmp_path)
        await with_fault(c, binder_of(c).binder.caches.claims, answers_all("persistentvolumeclaims", answer), 15)
        await asyncio.sleep(30)

        assert sorted(path.name for path in tmp_path.iterdir()) == ["disk-0", "disk-1", "disk-2"]
        assert {one.phase for one in c.of(VOLUMES)} == {"Bound"}
        assert {one.phase for one in c.of(CLAIMS)} == {"Bound"}
        assert c.line.asked("DELETE", "") == 0


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@on_virtual_time
async def test_writes_1_no_claim_is_lost_behind_wrong_answers_about_volumes(tmp_path: Path, answer: Answer) -> None:
    body = answer.body.replace(b"PersistentVolumeClaim", b"PersistentVolume")
    wrong = Answer(answer.status, body, answer.headers)
    async with cluster(options(tmp_path)) as c:
        await three_bound(c, tmp_path)
        seen: list[str | None] = []
        c.of(CLAIMS).add_handler(lambda change: seen.append(change.object.phase))
        await with_fault(c, binder_of(c).binder.caches.volumes, answers_all("persistentvolumes", wrong), 15)
        for number in range(3):
            binder_of(c).binder.claims.add(f"default/orders-{number}")  # type: ignore[arg-type]
        await asyncio.sleep(30)

        assert set(seen) == {"Bound"}
        assert len(binder_of(c).binder.caches.volumes) == 3


@on_virtual_time
async def test_reclaimer_1_what_is_really_released_is_deleted_when_the_answers_are_right_again(tmp_path: Path) -> None:
    async with cluster(options(tmp_path)) as c:
        await three_bound(c, tmp_path)
        c.line.before = answers_all("persistentvolumeclaims", TEXT)
        await delete_claim(c, "orders-0")
        await asyncio.sleep(20)
        assert (tmp_path / "disk-0").is_dir(), "nobody can prove it yet"
        c.line.before = lambda _: None
        await asyncio.sleep(60)

        assert not (tmp_path / "disk-0").exists()
        assert (tmp_path / "disk-1").is_dir()


@on_virtual_time
async def test_provisioner_1_a_lost_answer_keeps_the_storage(tmp_path: Path) -> None:
    posts = 0

    def is_post(request: Request) -> bool:
        return request.method == "POST" and request.path.endswith("/persistentvolumes")

    def lose_answer(request: Request) -> None:
        if is_post(request) and posts == 1:
            raise ConnectionFailed("the answer was lost")

    def fail_later(request: Request) -> Answer | None:
        nonlocal posts
        posts += is_post(request)
        if posts > 1 and is_post(request):
            return Answer(503, b"no")
        return None

    async with cluster(options(tmp_path)) as c:
        c.line.before, c.line.after = fail_later, lose_answer
        await c.create(storage_class("fast", provisioner=HOST_PATH), wanting())
        await asyncio.sleep(120)
        bound = await until_claim(c, "orders", "Bound")
        await operations_done(c)

        assert posts == 5
        assert Path(c.of(VOLUMES)[bound.volume_name].host_path.path or "").is_dir()  # type: ignore[union-attr]
        assert await events_about(c, "ProvisioningFailed") == []


@on_virtual_time
async def test_provisioner_1_in_doubt_storage_is_kept_and_the_volume_saved_again(tmp_path: Path) -> None:
    def everything_404(request: Request) -> Answer | None:
        wrong = "persistentvolumes" in request.path and request.method in ("POST", "GET") and is_broken
        return TEXT if wrong and (request.method == "POST" or tmp_path_has_asset()) else None

    def tmp_path_has_asset() -> bool:
        return any(tmp_path.iterdir())

    is_broken = True
    async with cluster(options(tmp_path)) as c:
        c.line.before = everything_404
        await c.create(storage_class("fast", provisioner=HOST_PATH), wanting())
        await asyncio.sleep(200)
        assert len(list(tmp_path.iterdir())) == 1
        assert "It is not known whether PV" in (await events_about(c, "ProvisioningFailed"))[0]
        is_broken = False
        await asyncio.sleep(60)
        await until_claim(c, "orders", "Bound")

        assert len(list(tmp_path.iterdir())) == 1


@on_virtual_time
async def test_writes_2_what_a_proof_finds_is_in_the_cache_again(tmp_path: Path) -> None:
    async with cluster(options(tmp_path)) as c:
        await three_bound(c, tmp_path)
        claims = binder_of(c).binder.caches.claims
        claims._cache.remove("default/orders-1")  # as a list would that nobody can see is cut
        await asyncio.sleep(30)

        assert "default/orders-1" in claims
        assert (await until_volume(c, "disk-1", "Bound")).claim_uid == claims["default/orders-1"].uid


@on_virtual_time
async def test_reclaimer_4_another_volume_of_the_name_is_left_alone(tmp_path: Path) -> None:
    async with cluster(options(tmp_path)) as c:
        await three_bound(c, tmp_path)
        other = c.of(VOLUMES)["disk-0"]
        reclaimer = binder_of(c).binder.volume_sync._reclaimer
        gone = msgspec.structs.replace(other, uid="of the one before")

        await reclaimer._remove_finalizer(gone)
        with pytest.raises(ApiFailure) as caught:
            await binder_of(c).binder.volume_sync._writes.delete_volume(gone)
        await c.settle()

        assert caught.value.is_conflict
        assert c.of(VOLUMES)["disk-0"].resource_version == other.resource_version
