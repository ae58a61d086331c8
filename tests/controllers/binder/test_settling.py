"""Settling and binding together: what is chosen doesn't depend on which volumes have been written."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.controllers.binder.test_histories import CLAIMS, VOLUMES, Cluster, CreateClaim, CreateVolume, Running
from tests.controllers.binder.test_histories import claim as claim_document
from tests.controllers.binder.test_histories import volume as volume_document
from tests.virtual_time import VirtualTimeLoop, on_virtual_time

from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import decode, encode

LONG_SECONDS = 10.0  # virtual ones, less than a resync takes to come
RWO = ("ReadWriteOnce",)


class Slow(Cluster):
    """A cluster whose writes take the time that `seconds_of` gives, and may be answered in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds_of: Callable[[Request], float] = lambda _: 0.001
        self.instead: Callable[[Request], Answer | None] = lambda _: None
        self.writes: list[Request] = []
        self.statuses: Counter[int] = Counter()

    async def send(self, request: Request) -> Answer:
        if request.method == "GET":
            return await super().send(request)
        self.writes.append(request)
        await asyncio.sleep(self.seconds_of(request))
        answer = self.instead(request) or await super().send(request)
        self.statuses[answer.status] += 1
        return answer

    def phases_written(self) -> list[tuple[str, str]]:
        """The phases that volumes were asked to have, in order."""
        found = [r for r in self.writes if r.path.startswith("/api/v1/persistentvolumes/") and "/status" in r.path]
        return [(r.path.split("/")[-2], decode(r.body or b"")["status"]["phase"]) for r in found]

    def choices(self) -> dict[str, str]:
        """The volume of each claim."""
        return {each["metadata"]["name"]: each["spec"].get("volumeName", "") for each in self.all_of(CLAIMS)}


def volumes(*sizes: int) -> list[CreateVolume]:
    return [CreateVolume(f"disk-{n}", size, RWO, "", "Retain", None) for n, size in enumerate(sizes)]


def claims(*sizes: int) -> list[CreateClaim]:
    return [CreateClaim(f"claim-{n}", size, RWO, "", None) for n, size in enumerate(sizes)]


def bring(cluster: Cluster, made: Sequence[CreateVolume | CreateClaim]) -> None:
    for number, each in enumerate(made):
        if isinstance(each, CreateVolume):
            cluster.announce("ADDED", volume_document(each, number))
        else:
            cluster.announce("ADDED", claim_document(each, number))


async def run_for(cluster: Cluster, seconds: float, meanwhile: Callable[[], Awaitable[None]] | None = None) -> Running:
    running = Running(cluster)
    await running.start()
    if meanwhile is not None:
        await meanwhile()
    await asyncio.sleep(seconds)
    await running.stop()
    return running


def complaints(running: Running) -> list[str]:
    """The events of claims and volumes."""
    return running.binder.claim_sync._reporter._recorder.events  # type: ignore[attr-defined,no-any-return]


async def choices_of(
    made: list[CreateVolume], wanted: list[CreateClaim], delays: list[float], *, settled_before: bool
) -> dict[str, str]:
    """The volume that each claim got, from a start after all volumes were settled, or from one with none of them."""
    cluster = Slow()
    bring(cluster, made)
    if settled_before:
        await run_for(cluster, LONG_SECONDS)
        assert all(each["status"]["phase"] == "Available" for each in cluster.all_of(VOLUMES))
        cluster.writes.clear()
    bring(cluster, wanted)
    waits = iter(delays * 1000)
    cluster.seconds_of = lambda _: next(waits)
    await run_for(cluster, LONG_SECONDS)
    assert set(cluster.statuses) <= {200}, "no conflict"
    assert max(Counter(cluster.phases_written()).values(), default=1) == 1, "each phase is written once"
    return cluster.choices()


MODES = st.sampled_from([RWO, RWO, ("ReadWriteOnce", "ReadWriteMany")])
SIZES, CLASSES = st.integers(1, 4), st.sampled_from(["", "", "fast"])
SOME_VOLUMES = st.lists(st.tuples(SIZES, MODES, CLASSES), min_size=1, max_size=12)
SOME_CLAIMS = st.lists(st.tuples(SIZES, CLASSES), min_size=1, max_size=12)
DELAYS = st.lists(st.sampled_from([0.0, 0.001, 0.02, 0.3]), min_size=1, max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([(size, RWO, "") for size in (1, 2, 3)], [(1, ""), (1, ""), (2, "")], [0.3])
@given(SOME_VOLUMES, SOME_CLAIMS, DELAYS)
def test_settling_1_the_choice_is_that_of_volumes_which_were_settled_before(
    some_volumes: list[tuple[int, tuple[str, ...], str]], some_claims: list[tuple[int, str]], delays: list[float]
) -> None:
    made = [
        CreateVolume(f"disk-{n}", size, modes, named, "Retain", None)
        for n, (size, modes, named) in enumerate(some_volumes)
    ]
    wanted = [CreateClaim(f"claim-{n}", size, RWO, named, None) for n, (size, named) in enumerate(some_claims)]
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        before = runner.run(choices_of(made, wanted, delays, settled_before=True))
        together = runner.run(choices_of(made, wanted, delays, settled_before=False))
    assert together == before


@on_virtual_time
async def test_settling_2_each_volume_is_settled_once_whoever_begins() -> None:
    cluster = Slow()
    bring(cluster, volumes(*[1] * 150))
    bring(cluster, claims(*[1] * 150))
    await run_for(cluster, LONG_SECONDS)
    assert set(cluster.choices().values()) == {f"disk-{n}" for n in range(150)}
    assert len(cluster.writes) == 150 * 5, "Available, and the four writes of a bind"
    assert Counter(phase for _, phase in cluster.phases_written()) == {"Available": 150, "Bound": 150}
    assert set(cluster.statuses) == {200}


@on_virtual_time
async def test_settling_2_who_wants_a_volume_that_is_being_settled_waits_for_it_and_has_it() -> None:
    cluster = Slow()
    bring(cluster, volumes(1, 2))
    cluster.seconds_of = lambda request: 5.0 if "/status" in request.path else 0.001

    async def claims_come() -> None:
        await asyncio.sleep(1)  # both volumes are being settled by their own syncs now
        assert cluster.phases_written() == [("disk-0", "Available"), ("disk-1", "Available")]
        bring(cluster, claims(1, 1))

    running = await run_for(cluster, 2 * LONG_SECONDS, claims_come)
    assert complaints(running) == []
    assert cluster.choices() == {"claim-0": "disk-0", "claim-1": "disk-1"}
    assert len(cluster.writes) == 2 * 5


def refuse(cluster: Slow, name: str, times: int, answer: Answer) -> None:
    left = times

    def instead(request: Request) -> Answer | None:
        nonlocal left
        if left and request.path.endswith(f"/{name}/status"):
            left -= 1
            return answer
        return None

    cluster.instead = instead


def failure(code: int, reason: str) -> Answer:
    return Answer(code, encode({"kind": "Status", "reason": reason, "message": "no", "code": code}))


@on_virtual_time
async def test_settling_3_a_volume_that_may_not_become_available_is_no_choice_until_it_is() -> None:
    cluster = Slow()
    bring(cluster, volumes(1, 2, 3))
    bring(cluster, claims(1))
    refuse(cluster, "disk-0", 6, failure(403, "Forbidden"))
    await run_for(cluster, LONG_SECONDS)
    assert cluster.choices() == {"claim-0": "disk-1"}
    phases = {each["metadata"]["name"]: each["status"]["phase"] for each in cluster.all_of(VOLUMES)}
    assert phases == {"disk-0": "Available", "disk-1": "Bound", "disk-2": "Available"}, "its own sync goes on trying"


@on_virtual_time
async def test_settling_3_a_failure_that_may_pass_changes_no_choice() -> None:
    for answer in (failure(500, "InternalError"), failure(503, "ServiceUnavailable"), failure(409, "Conflict")):
        cluster = Slow()
        bring(cluster, volumes(1, 2, 3))
        bring(cluster, claims(1, 2))
        refuse(cluster, "disk-0", 4, answer)
        await run_for(cluster, LONG_SECONDS)
        assert cluster.choices() == {"claim-0": "disk-0", "claim-1": "disk-1"}, answer.status


@on_virtual_time
async def test_binder_8_a_claim_waits_for_its_own_volume_alone_and_hears_no_complaint() -> None:
    cluster = Slow()
    bring(cluster, volumes(*[3] * 200, 1, 2))  # disk-200 is the smallest
    bring(cluster, claims(1))
    cluster.seconds_of = lambda request: (
        0.001 if "/disk-200" in request.path or "claims" in request.path else 40.0
    )  # these hang
    running = Running(cluster)
    await running.start()
    await asyncio.sleep(1)
    (bound,) = cluster.all_of(CLAIMS)
    assert (bound["status"]["phase"], bound["spec"]["volumeName"]) == ("Bound", "disk-200")
    assert [phase for name, phase in cluster.phases_written() if name == "disk-200"] == ["Available", "Bound"]
    assert sum(each["status"]["phase"] == "Available" for each in cluster.all_of(VOLUMES)) == 0
    assert complaints(running) == []
    await running.stop()


@on_virtual_time
async def test_binder_8_a_volume_that_is_about_to_be_let_go_is_waited_for() -> None:
    cluster = Slow()
    bring(cluster, volumes(1, 2, 3))
    bring(cluster, claims(3))
    await run_for(cluster, LONG_SECONDS)
    elsewhere, bound = cluster.find(VOLUMES, "disk-0"), cluster.find(VOLUMES, "disk-2")
    assert elsewhere is not None
    assert bound is not None
    elsewhere["spec"]["claimRef"] = bound["spec"]["claimRef"]
    elsewhere["metadata"]["annotations"] = {"pv.kubernetes.io/bound-by-controller": "yes"}
    cluster.announce("MODIFIED", elsewhere)
    cluster.announce("ADDED", claim_document(CreateClaim("late", 1, RWO, "", None), 7))
    await run_for(cluster, LONG_SECONDS)
    assert cluster.choices() == {"claim-0": "disk-2", "late": "disk-0"}
