"""What is to be done about a content."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.snapshots import SnapshotContent, parse_snapshot_content
from pvbinder.rules.csi.snapshots.contents import (
    ContentAction,
    ContentMalformed,
    DeleteStored,
    ForgetAttempt,
    LeaveContent,
    LetContentGo,
    LookAtStored,
    ProtectContent,
    TakeSnapshot,
    decide_content,
    is_final,
    is_news,
    is_of_driver,
    is_refusal,
)
from pvbinder.rules.csi.snapshots.names import BEING_CREATED, BEING_DELETED, CONTENT_FINALIZER

GIVEN: Json = {"source": {"snapshotHandle": "h"}}
READY = {"snapshotHandle": "h", "readyToUse": True}
NOT_READY = {"snapshotHandle": "h", "readyToUse": False}
LEAVING = {"deletionTimestamp": "2020-01-01T00:00:00Z"}
MARKED = {**LEAVING, "annotations": {BEING_DELETED: "yes"}}
ANNOUNCED = {"annotations": {BEING_CREATED: "yes"}}


def content(meta: Json | None = None, status: Json | None = None, uid: str = "u", **spec: Any) -> SnapshotContent:
    document: Json = {
        "metadata": {"name": "c", "uid": "cu", "finalizers": [CONTENT_FINALIZER], **(meta or {})},
        "spec": {
            "driver": "d",
            "deletionPolicy": "Delete",
            "source": {"volumeHandle": "vol-1"},
            "volumeSnapshotRef": {"name": "s", "namespace": "shop", "uid": uid},
            **spec,
        },
    }
    if status is not None:
        document["status"] = status
    return parse_snapshot_content(encode(document))


DECIDED: dict[str, tuple[SnapshotContent, ContentAction]] = {
    "new: the finalizer first (SK-2)": (content({"finalizers": []}), ProtectContent()),
    "given and nobody's: no finalizer (SK-2)": (content({"finalizers": []}, READY, "", **GIVEN), LeaveContent()),
    "not taken yet (SK-5)": (content(), TakeSnapshot()),
    "failed (SK-5)": (content(status={"readyToUse": False, "error": {"message": "x"}}), TakeSnapshot()),
    "taken, annotation left (SK-7)": (content(ANNOUNCED, NOT_READY), ForgetAttempt()),
    "not ready (SK-9)": (content(status=NOT_READY), LookAtStored("h")),
    "given (SK-9)": (content(**GIVEN), LookAtStored("h")),
    "ready (SK-9)": (content(status=READY), LeaveContent()),
    "deleted, its snapshot isn't (SK-3)": (content(LEAVING, READY), LeaveContent()),
    "deleted with its snapshot (SK-4)": (content(MARKED, READY), DeleteStored("h")),
    "the same, retained (SK-4)": (content(MARKED, READY, deletionPolicy="Retain"), LetContentGo()),
    "the same, never taken (SK-4)": (content(MARKED), LetContentGo()),
    "the same, deleted in the storage (SK-4)": (content(MARKED, {}), LetContentGo()),
    "the same, let go already (SK-4)": (content({**MARKED, "finalizers": ["x"]}, {}), LeaveContent()),
    "the same, being taken (SK-3)": (
        content({**LEAVING, "annotations": {BEING_DELETED: "yes", BEING_CREATED: "yes"}}),
        TakeSnapshot(),
    ),
    "the same, taken meanwhile (SK-7)": (
        content({**LEAVING, "annotations": {BEING_DELETED: "yes", BEING_CREATED: "yes"}}, READY),
        ForgetAttempt(),
    ),
    "deleted, not begun": (content(LEAVING), LeaveContent()),
    "given, nobody's, deleted (SK-3)": (content(LEAVING, READY, "", **GIVEN), DeleteStored("h")),
    "given, nobody's, never looked at (SK-4)": (content(LEAVING, None, "", **GIVEN), LetContentGo()),
    "marked only": (content({"annotations": {BEING_DELETED: "yes"}}, READY), LeaveContent()),
    "of a group by annotation": (
        content({"annotations": {"groupsnapshot.storage.k8s.io/volumeGroupSnapshotHandle": "g"}}),
        LeaveContent(),
    ),
    "of a group by status": (content(MARKED, {**READY, "volumeGroupSnapshotHandle": "g"}), LeaveContent()),
}


@pytest.mark.parametrize(("found", "action"), DECIDED.values(), ids=DECIDED.keys())
def test_decide_content(found: SnapshotContent, action: ContentAction) -> None:
    assert decide_content(found, may_be_made=False) == action


def test_what_may_have_been_made_is_seen_through_before_it_goes() -> None:  # SK-3
    assert decide_content(content(MARKED), may_be_made=True) == TakeSnapshot()
    assert decide_content(content(LEAVING), may_be_made=True) == TakeSnapshot()
    assert decide_content(content(MARKED, READY), may_be_made=True) == DeleteStored("h")


NEWS = {
    "nothing": (content(), content(), False),
    "what an attempt writes": (content(), content(ANNOUNCED, {"readyToUse": False}), False),
    "the finalizer": (content({"finalizers": []}), content(), False),
    "no finalizer any more": (content(), content({"finalizers": []}), True),
    "ready": (content(status=NOT_READY), content(status=READY), True),
    "deleted": (content(), content(LEAVING), True),
    "its snapshot is deleted": (content(LEAVING), content(MARKED), True),
    "another policy": (content(), content(deletionPolicy="Retain"), True),
    "bound": (content(uid="", **GIVEN), content(**GIVEN), True),
}


@pytest.mark.parametrize(("before", "after", "is_new"), NEWS.values(), ids=NEWS.keys())
def test_is_news(before: SnapshotContent, after: SnapshotContent, is_new: bool) -> None:  # SK-11
    assert is_news(before, after) is is_new


@pytest.mark.parametrize("source", [{}, {"volumeHandle": "v", "snapshotHandle": "h"}])
def test_a_content_has_one_source(source: Json) -> None:  # SK-1
    with pytest.raises(ContentMalformed, match="Exactly one of VolumeHandle and SnapshotHandle should be specified"):
        decide_content(content(source=source), may_be_made=False)


def test_a_content_is_of_its_driver() -> None:  # SK-1
    from pvbinder.model.snapshots import parse_snapshot_class

    theirs = parse_snapshot_class(b'{"metadata": {"name": "x"}, "driver": "other"}')
    assert is_of_driver(content(), None, "d")
    assert not is_of_driver(content(), None, "other")
    assert not is_of_driver(content(), theirs, "d")


@pytest.mark.parametrize("code", ["Canceled", "DeadlineExceeded", "Unavailable", "ResourceExhausted", "Aborted"])
def test_a_driver_may_be_at_work_still(code: str) -> None:  # SK-7
    assert not is_final(code)
    assert not is_refusal(code)


@pytest.mark.parametrize("code", ["Unknown", "Internal", "AlreadyExists", "FailedPrecondition", "PermissionDenied"])
def test_an_error_that_is_final_says_nothing_of_earlier_attempts(code: str) -> None:  # SK-7
    assert is_final(code)
    assert not is_refusal(code)
