"""What a preflight finds out, at real servers with and without a binder (PREFLIGHT-1 to 3, CANARY-1 to 3, RIGHTS-1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.controllers.cluster import ADMIN, Breakable

from pvbinder.controllers.csi.rights import Right
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.registry import beside_a_cluster
from pvbinder.controllers.rights import RIGHTS
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.config import load_kubeconfig
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.http import HttpTransport
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.transport import Answer, Request
from pvbinder.preflight import canary, report
from pvbinder.preflight.canary import Canary, Sighting
from pvbinder.preflight.findings import Advice, Preflight
from pvbinder.preflight.questions import Held, ask_kinds, ask_rights, ask_version, judge_our_lease
from pvbinder.preflight.report import Asked, examine, judge_canary
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

NO_EVENTS = "we may not create events, which is needed to tell people"
LEASE = ("kube-system", "pvbinder-controller")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(canary, "PROTECTION_SECONDS", 0.1)
    monkeypatch.setattr(report, "LEASE_SECONDS", 0.01)


class Here:
    """A server, our line to it as a preflight has one, and perhaps controllers."""

    def __init__(self, server: EmbeddedServer, line: Breakable) -> None:
        self.server = server
        self.line = line
        self.client = Client(line, retries=Retries(attempts=1))
        self.user = Client(InProcessTransport(server.dispatcher, ADMIN))

    async def left(self) -> int:
        """How many volumes and claims are there."""
        volumes = [len(page.items) async for page in self.user.pages(VOLUMES)]
        return sum(volumes) + sum([len(page.items) async for page in self.user.pages(CLAIMS)])

    async def examine(self, namespace: str | None = "default", seconds: float = 0.3) -> Preflight:
        asked = Asked(tuple(RIGHTS), LEASE, namespace, seconds)
        return await examine(self.client, "the server", asked)


@asynccontextmanager
async def place(directory: Path, *, binder: str = "") -> AsyncGenerator[Here]:
    """A server, with a binder that calls itself `binder` unless that is empty."""
    async with EmbeddedServer(directory / "data") as server:
        server.write_kubeconfig(directory / "kubeconfig")
        config = load_kubeconfig([directory / "kubeconfig"])
        async with (
            HttpTransport(config, user_agent="pvbinder-preflight/1") as ours,
            HttpTransport(config, user_agent=f"{binder}/1") as theirs,
            asyncio.TaskGroup() as group,
        ):
            manager = Manager(theirs, known=beside_a_cluster())
            running = group.create_task(manager.run()) if binder else None
            if running is not None:
                await manager.wait_ready()
            yield Here(server, Breakable(ours))
            if running is not None:
                running.cancel()


def said(found: Preflight, check: str) -> list[tuple[Advice, str]]:
    return [(one.verdict, one.said) for one in found.findings if one.check == check]


async def test_a_cluster_without_a_binder_is_a_go(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        found = await here.examine()
        assert found.verdict == Advice.GO, found.findings
        assert said(found, "binder") == [(Advice.GO, "nobody bound the canary")]
        assert await here.left() == 0


@pytest.mark.parametrize("who", ["kube-controller-manager", "pvbinder"])
async def test_canary_3_another_binder_is_named_and_is_a_no_go(tmp_path: Path, who: str) -> None:
    async with place(tmp_path, binder=who) as here:
        found = await here.examine(seconds=20)
        assert found.verdict == Advice.NO_GO
        ((verdict, text),) = said(found, "binder")
        assert verdict == Advice.NO_GO
        assert "another binder is active: kube-controller-manager wrote" in text or "pvbinder that doesn't hold" in text
        assert await here.left() == 0


async def test_preflight_1_without_the_canary_nothing_is_written(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        found = await here.examine(None)
        assert said(found, "binder") == [(Advice.WARNING, "whether another binder is active wasn't looked at")]
        writes = {r.path for r in here.line.seen if r.method != "GET"}
        assert all(path.startswith(("/apis/auth",)) for path in writes)


async def test_preflight_2_and_3_what_can_not_be_found_out_is_a_no(tmp_path: Path) -> None:
    def broken(request: Request) -> Answer | None:
        if request.method != "GET":
            raise ConnectionFailed("broken by the test")
        return None

    async with place(tmp_path) as here:
        here.line.before = broken
        found = await here.examine()
        assert found.verdict == Advice.NO_GO
        assert said(found, "rights") == [(Advice.NO_GO, "can't be found out: broken by the test")]
        assert "can't be found out: broken by the test" in said(found, "binder")[0][1]


async def test_preflight_3_nobody_may_be_nobody_in_particular(tmp_path: Path) -> None:
    async with EmbeddedServer(listen=False) as server:
        line = InProcessTransport(server.dispatcher, UserInfo("us", groups=("system:authenticated",)))
        found = await examine(Client(line), "the server", Asked(tuple(RIGHTS), LEASE, "default", 0.1))
        assert found.verdict == Advice.NO_GO
        assert "update persistentvolumes/status" in said(found, "rights")[0][1]
        assert said(found, "user") == [(Advice.GO, "us")]


def is_creation(request: Request) -> bool:
    """Whether a volume or a claim is made, and not a question asked."""
    return request.method == "POST" and request.path.startswith("/api/v1/")


async def test_canary_1_nobody_else_wants_it(tmp_path: Path) -> None:
    made = []

    async with place(tmp_path) as here:
        here.line.before = lambda request: made.append(request) if is_creation(request) else None
        await Canary(here.client, "default", seconds=0.05).fly()
    assert len(made) == 2
    for request in made:
        assert b'"storageClassName":"pvbinder-preflight-' in (request.body or b"")
    assert b'"persistentVolumeReclaimPolicy":"Retain"' in (made[0].body or b"")


async def test_canary_2_it_is_taken_away_when_we_are_interrupted(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        flying = asyncio.create_task(Canary(here.client, "default", seconds=60).fly())
        async with asyncio.timeout(20):
            while await here.left() < 2:
                await asyncio.sleep(0.01)
        flying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flying
        assert await here.left() == 0


async def test_canary_2_what_could_not_be_taken_away_is_named(tmp_path: Path) -> None:
    def undeletable(request: Request) -> Answer | None:
        return (
            Answer(403, b'{"kind":"Status","status":"Failure","reason":"Forbidden","message":"no"}')
            if (request.method == "DELETE")
            else None
        )

    async with place(tmp_path) as here:
        here.line.before = undeletable
        found = await here.examine()
        (one,) = [one for one in found.findings if one.check == "canary"]
        assert "persistentvolumeclaims/pvbinder-preflight-" in one.said
        assert "persistentvolumes/pvbinder-preflight-" in one.said
        assert one.said.endswith(": no")
        assert said(found, "binder") == [(Advice.GO, "nobody bound the canary")]


async def test_canary_2_what_was_refused_is_not_left_over(tmp_path: Path) -> None:
    refusal = b'{"kind":"Status","status":"Failure","reason":"Forbidden","message":"exceeded quota"}'

    async with place(tmp_path) as here:
        here.line.before = lambda request: Answer(403, refusal) if is_creation(request) else None
        found = await here.examine()
        assert said(found, "canary") == []
        assert "exceeded quota" in said(found, "binder")[0][1]


async def test_canary_4_who_may_not_take_it_away_makes_none(tmp_path: Path) -> None:
    made = []

    def as_deployed(request: Request) -> Answer | None:
        if is_creation(request):
            made.append(request)
        wanted = b'"delete"' in (request.body or b"") and b'"persistentvolumeclaims"' in (request.body or b"")
        answer = b'{"kind":"SelfSubjectAccessReview","status":{"allowed":false}}'
        return Answer(201, answer) if request.path.endswith("selfsubjectaccessreviews") and wanted else None

    async with place(tmp_path) as here:
        here.line.before = as_deployed
        found = await here.examine()
        assert made == []
        ((verdict, text),) = said(found, "binder")
        assert verdict == Advice.NO_GO
        assert "we may not delete persistentvolumeclaims in default, so no canary was made" in text


async def test_canary_2_an_object_of_that_name_that_is_not_ours_stays(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv"}}
        await here.user.create(VOLUMES, {"metadata": {"name": "taken"}, "spec": spec})
        sighting = await Canary(here.client, "default", name="taken", seconds=0.05).fly()
        assert "already exists" in sighting.trouble
        assert await here.left() == 1


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        ("v1.28.9", Advice.NO_GO),
        ("v1.29.0", Advice.GO),
        ("v1.36.2+k3s1", Advice.GO),
        ("", Advice.WARNING),
        ("x", Advice.WARNING),
    ],
)
async def test_versions(version: str, verdict: Advice) -> None:
    class Line:
        async def send(self, _request: Request) -> Answer:
            return Answer(200, b'{"gitVersion":"%s"}' % version.encode())

    assert (await ask_version(Client(Line()))).verdict == verdict  # type: ignore[arg-type]


async def test_a_server_without_a_kind_is_degraded_or_dead(tmp_path: Path) -> None:
    def without(word: bytes) -> Callable[[Answer], Answer]:
        return lambda answer: Answer(answer.status, answer.body.replace(word, b"Other" + word[5:]), answer.headers)

    async with place(tmp_path) as here:

        class Line:
            def __init__(self, word: bytes) -> None:
                self.change = without(word)

            async def send(self, request: Request) -> Answer:
                return self.change(await here.line.send(request))

        (found,) = await ask_kinds(Client(Line(b"VolumeAttributesClass")))  # type: ignore[arg-type]
        assert (found.verdict, "left alone" in found.said) == (Advice.WARNING, True)
        found, *_ = await ask_kinds(Client(Line(b'StorageClass"')))  # type: ignore[arg-type]
        assert (found.verdict, "StorageClass.storage.k8s.io" in found.said) == (Advice.NO_GO, True)


async def test_rights_1_what_is_needed_for_something_only_is_a_warning() -> None:
    async with EmbeddedServer(listen=False) as server:
        client = Client(InProcessTransport(server.dispatcher, UserInfo("us", groups=("system:authenticated",))))
        only = Right("", ("events",), ("create",), only="to tell people")
        (found,) = await ask_rights(client, [only], None)
        assert (found.verdict, found.said) == (
            Advice.WARNING,
            "we may not create events, which is needed to tell people",
        )
        (found,) = await ask_rights(client, [only, Right("", ("events",), ("create",))], None)
        assert found.verdict == Advice.NO_GO


GATE = Held("migration", "", 86400, ("kubectl",))
HELD = Held("a_1", "now", 15, ("pvbinder",))


@pytest.mark.parametrize(
    ("before", "after", "verdict", "text"),
    [
        (None, None, Advice.GO, "is free"),
        (HELD, Held("", "later", 1, ()), Advice.GO, "is free"),
        (HELD, Held("a_1", "later", 15, ("pvbinder",)), Advice.GO, "a pvbinder that works"),
        (HELD, HELD, Advice.WARNING, "wasn't renewed"),
        (
            Held("migration", "", 86400, ("kubectl",)),
            Held("migration", "", 86400, ("kubectl",)),
            Advice.WARNING,
            "86400 s",
        ),
        (HELD, Held("x", "later", 15, ("scheduler",)), Advice.NO_GO, "no pvbinder"),
    ],
)
def test_a_lease_that_is_held(before: Held | None, after: Held | None, verdict: Advice, text: str) -> None:
    found = judge_our_lease("ns/name", before, after)
    assert found.verdict == verdict
    assert text in found.said + found.hint


@pytest.mark.parametrize(
    ("sighting", "leads", "verdict"),
    [
        (Sighting(is_bound=True, binders=("pvbinder",)), True, Advice.GO),
        (Sighting(is_bound=True, binders=("pvbinder",)), False, Advice.NO_GO),
        (Sighting(is_bound=True, binders=("pvbinder", "kube-controller-manager")), True, Advice.NO_GO),
        (Sighting(is_bound=True, binders=("somebody",)), True, Advice.NO_GO),
        (Sighting(trouble="forbidden"), True, Advice.NO_GO),
        (Sighting(missing=("delete persistentvolumes",)), True, Advice.NO_GO),
        (Sighting(protectors=("PersistentVolume",)), False, Advice.WARNING),
        (Sighting(), False, Advice.GO),
        (None, False, Advice.WARNING),
    ],
)
def test_canary_3_who_bound_it_decides(sighting: Sighting | None, leads: bool, verdict: Advice) -> None:
    assert judge_canary(sighting, leads=leads).verdict == verdict
