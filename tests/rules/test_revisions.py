"""Revisions of templates: whole documents, and which one is used (RECORDS-1, RECORDS-2)."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.workloads import DAEMON_SETS, Workload, parse_workload
from pvbinder.rules.revisions import (
    CreateRevision,
    Recorded,
    RenumberRevision,
    UseRevision,
    beyond_history,
    decide_recording,
    in_order,
    revision_document,
    revision_number,
    template_of,
)

TEMPLATE: Json = {"metadata": {"labels": {"app": "a"}}, "spec": {"x": 1}}


def recorded(template: Json | None = None, **more: Any) -> Recorded:
    fields = {"annotations": {}, "hash_label": "hash", **more}
    return Recorded(DAEMON_SETS, "agent", "shop", "u", template=TEMPLATE if template is None else template, **fields)


def revision(
    number: int, template: Json | None = None, *, created: str = "", name: str = "", going: bool = False
) -> Workload:
    document = revision_document(recorded(template), number)
    document["metadata"]["creationTimestamp"] = created
    document["metadata"]["name"] = name or document["metadata"]["name"]
    if going:
        document["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    return parse_workload(encode(document))


def test_a_revision_records_the_template_as_a_patch() -> None:
    annotations = {"note": "n", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    document = revision_document(recorded(annotations=annotations), 3)
    suffix = "h58mjzszgb"

    assert document == {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"agent-{suffix}",
            "namespace": "shop",
            "labels": {"app": "a", "hash": suffix},
            "annotations": {"note": "n"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "DaemonSet",
                    "name": "agent",
                    "uid": "u",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "data": {"spec": {"template": {**TEMPLATE, "$patch": "replace"}}},
        "revision": 3,
    }
    assert "annotations" not in revision_document(recorded(), 3)["metadata"]
    assert revision_document(recorded(collisions=1), 3)["metadata"]["name"] != f"agent-{suffix}"
    assert list(revision_document(recorded({}), 3)["metadata"]["labels"]) == ["hash"]


TEMPLATES: dict[str, tuple[Json, Json]] = {
    "what was recorded": ({"data": {"spec": {"template": {"a": 1, "$patch": "replace"}}}}, {"a": 1}),
    "no data": ({"revision": 1}, {}),
    "data that are none": ({"data": "text"}, {}),
    "a spec that is none": ({"data": {"spec": 1}}, {}),
    "a template that is none": ({"data": {"spec": {"template": []}}}, {}),
}


@pytest.mark.parametrize(("document", "template"), TEMPLATES.values(), ids=TEMPLATES.keys())
def test_the_template_that_was_recorded(document: Json, template: Json) -> None:
    assert template_of(parse_workload(encode(document))) == template


OTHER: Json = {"spec": {"x": 2}}


def test_records_1_which_revision_a_template_has() -> None:
    first, other, second = revision(1), revision(2, OTHER), revision(3)

    assert decide_recording(recorded(), []) == CreateRevision(revision_document(recorded(), 1))
    assert decide_recording(recorded(), [other]) == CreateRevision(revision_document(recorded(), 3))
    assert decide_recording(recorded(), [other, first]) == RenumberRevision({**first.document(), "revision": 3})
    assert decide_recording(recorded(), [second, other, first]) == UseRevision(second)
    twin = revision(2, name="a")
    assert decide_recording(recorded(), [twin, other]) == UseRevision(twin), "as new as the newest"


def test_revisions_have_an_order() -> None:
    late, early = revision(2, created="2026-03-01T12:00:00Z"), revision(2, created="2026-03-01T11:00:00Z")
    named = revision(2, created="2026-03-01T11:00:00Z", name="z")
    first = revision(1, created="2026-03-01T13:00:00Z")

    assert in_order([late, named, early, first]) == [first, early, named, late]
    assert revision_number(parse_workload(b"{}")) == 0


def test_records_2_the_oldest_that_nothing_runs_with_go() -> None:
    one, two, three, four = (revision(number, name=f"r{number}") for number in (1, 2, 3, 4))
    going = revision(0, name="r0", going=True)

    assert beyond_history([four, three, two, one, going], {"r2"}, 1) == [one, three]
    assert beyond_history([four, three, two, one], (), 0) == [one, two, three, four]
    assert beyond_history([one], (), 1) == []
    assert beyond_history([one], (), 5) == []
