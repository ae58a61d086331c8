"""A list as evidence of what isn't in it (EVIDENCE-1 to EVIDENCE-3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.virtual_time import on_virtual_time

from pvbinder.kube.client import Client, Kind, Retries
from pvbinder.kube.evidence import DoubtfulList, WholeList, check_against, read_whole_list
from pvbinder.kube.kinds import PODS, Metadata, metadata_of, only_metadata_of
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.resources import Resource

KIND: Kind[Metadata] = metadata_of(PODS.resource)


def item(name: str, revision: int = 3, **meta: object) -> dict[str, Any]:
    own = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": str(revision)}
    return {"metadata": own | meta}


def listed(*items: dict[str, Any], kind: str = "PodList", version: str = "v1", **meta: object) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": "9", **meta}, "items": list(items)}


class Answers:
    """A server that gives these answers, in order, and the last one again and again."""

    def __init__(self, *answers: dict[str, Any] | bytes | Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Answer):
            return answer
        return Answer(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def watch(self, request: Request) -> Any:
        raise AssertionError(f"nobody watches: {request}")


def client(*answers: dict[str, Any] | bytes | Answer) -> Client:
    return Client(Answers(*answers), retries=Retries(attempts=1))


def refusal(name: str, kind: str = "pods") -> Answer:
    status = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"}
    return Answer(404, json.dumps({**status, "details": {"name": name, "kind": kind}}).encode())


DOUBTFUL: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "a page": (b"<html></html>", "is no list"),
    "nothing": (b"", "is no list"),
    "half of it": (json.dumps(listed(item("a"))).encode()[:40], "is no list"),
    "another kind": (listed(kind="ConfigMapList"), "is a ConfigMapList of v1"),
    "another version": (listed(version="v2"), "is a PodList of v2"),
    "no kind": ({"metadata": {"resourceVersion": "9"}, "items": []}, "is a document without a kind"),
    "a Status": ({"kind": "Status", "apiVersion": "v1", "metadata": {}}, "is a Status of v1"),
    "no items": ({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}}, "has no items"),
    "no revision": (listed(resourceVersion=""), "has no revision"),
    "a revision that is no number": (listed(resourceVersion="x"), "has no revision"),
    "a revision of more digits than a number has": (listed(resourceVersion="9" * 5000), "has no revision"),
    "an object of another kind": (listed({**item("a"), "kind": "Secret"}), "has a Secret in it"),
    "an object of another namespace": (listed(item("a", namespace="other")), "was not asked for"),
    "an object without a name": (listed({"metadata": {}}), "was not asked for"),
    "an object that can't be read": (listed({"metadata": []}), "can't be read"),
    "more that doesn't come": (listed(item("a"), remainingItemCount=3), "3 more objects should come"),
    "metadata that nobody asked for": (listed(kind="PartialObjectMetadataList", version="meta.k8s.io/v1"), "is a Part"),
}


@pytest.mark.parametrize(("answer", "why"), DOUBTFUL.values(), ids=DOUBTFUL.keys())
async def test_evidence_1_a_list_counts_only_as_what_it_is(answer: dict[str, Any] | bytes, why: str) -> None:
    with pytest.raises(DoubtfulList, match=why):
        await read_whole_list(client(answer), KIND, "shop")


async def test_evidence_1_a_list_goes_by_the_name_that_its_definition_gives_it() -> None:
    shops = metadata_of(Resource("example.com", "v1", "Shop", "shops", True))

    found = await read_whole_list(client(listed(item("a"), kind="Mall", version="example.com/v1")), shops, "shop")

    assert [one.name for one in found.items] == ["a"]


async def test_evidence_1_a_list_is_read_to_its_end() -> None:
    line = client(listed(item("a"), **{"continue": "more"}), listed(item("b")))

    found = await read_whole_list(line, KIND, "shop")

    assert [one.name for one in found.items] == ["a", "b"]
    assert found.resource_version == "9"


async def test_evidence_1_pages_are_of_one_revision() -> None:
    line = client(listed(**{"continue": "more"}), listed(resourceVersion="10"))

    with pytest.raises(DoubtfulList, match="goes on at revision 10"):
        await read_whole_list(line, KIND, "shop")


async def test_evidence_1_metadata_counts_where_it_was_asked_for() -> None:
    line = client(listed(item("a"), kind="PartialObjectMetadataList", version="meta.k8s.io/v1"))

    assert len((await read_whole_list(line, only_metadata_of(PODS.resource), "shop")).items) == 1


@pytest.mark.parametrize(("known", "is_good"), [("9", True), ("8", True), ("10", False), ("", True), ("x", True)])
async def test_evidence_2_an_old_list_proves_nothing(known: str, is_good: bool) -> None:
    line = client(listed())

    if is_good:
        assert (await read_whole_list(line, KIND, not_before=("1", known))).items == ()
    else:
        with pytest.raises(DoubtfulList, match="older than 10"):
            await read_whole_list(line, KIND, not_before=("1", known))


def cached(*names: str, revision: int = 3) -> list[Metadata]:
    return [KIND.parse(json.dumps(item(name, revision)).encode()) for name in names]


def whole(*names: str) -> WholeList[Metadata]:
    return WholeList(PODS.resource, tuple(cached(*names)), "9")


@on_virtual_time
async def test_evidence_3_a_list_that_lacks_what_is_there_is_false() -> None:
    there = {**item("b"), "kind": "Pod", "apiVersion": "v1"}

    with pytest.raises(DoubtfulList, match="lacks shop/b, which is there"):
        await check_against(whole("a"), client(there), KIND, lambda: cached("a", "b"))


@on_virtual_time
async def test_evidence_3_a_cache_that_is_late_is_waited_for() -> None:
    views = iter([cached("a", "b"), cached("a", "b")])

    await check_against(whole("a"), client(b""), KIND, lambda: next(views, cached("a")))


@on_virtual_time
async def test_evidence_3_a_cache_that_stays_late_is_overruled_by_name() -> None:
    await check_against(whole("a"), client(refusal("b")), KIND, lambda: cached("a", "b"))


@pytest.mark.parametrize("answer", [refusal("c"), refusal("b", "secrets"), Answer(404, b"404 page not found")])
@on_virtual_time
async def test_evidence_3_a_404_about_something_else_overrules_nothing(answer: Answer) -> None:
    with pytest.raises(Exception, match="not found"):
        await check_against(whole("a"), client(answer), KIND, lambda: cached("a", "b"))


@on_virtual_time
async def test_evidence_3_a_cache_full_of_others_is_no_cache_that_is_late() -> None:
    with pytest.raises(DoubtfulList, match="lacks 30 objects"):
        await check_against(whole(), client(b""), KIND, lambda: cached(*(f"pod-{n}" for n in range(30))))


@on_virtual_time
async def test_evidence_3_what_came_after_the_list_is_no_contradiction() -> None:
    await check_against(whole("a"), client(b""), KIND, lambda: cached("b", revision=10))
