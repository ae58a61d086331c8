"""What is to be done about a content.

Rules: docs/rules/snapshotter.md#3-volumesnapshotcontents-csi-snapshotter-events-from-csi-snapshotter-driver
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import Struct

from pvbinder.model.errors import PvbinderError
from pvbinder.model.snapshots import SnapshotClass, SnapshotContent
from pvbinder.rules.csi.snapshots.names import BEING_CREATED, BEING_DELETED, CONTENT_FINALIZER

_MAYBE_RUNNING: Final = frozenset({"Canceled", "DeadlineExceeded", "Unavailable", "ResourceExhausted", "Aborted"})
_REFUSED: Final = frozenset({"InvalidArgument", "OutOfRange", "NotFound", "Unimplemented"})


class ContentMalformed(PvbinderError):  # noqa: N818  (an outcome, not a defect)
    """A content that isn't of one source (SK-1)."""


class ProtectContent(Struct, frozen=True):
    """Give it the finalizer (SK-2)."""


class DeleteStored(Struct, frozen=True):
    """Have the driver delete the snapshot, then let the content go (SK-4)."""

    handle: str


class LetContentGo(Struct, frozen=True):
    """Take the finalizer (SK-4)."""


class TakeSnapshot(Struct, frozen=True):
    """Have the driver take it, or see an attempt through that may have made one (SK-5)."""


class LookAtStored(Struct, frozen=True):
    """Ask the driver how it is (SK-9)."""

    handle: str


class ForgetAttempt(Struct, frozen=True):
    """Take the annotation that says that it is being made (SK-7)."""


class LeaveContent(Struct, frozen=True):
    """Do nothing: it is ready, or somebody else must act first."""


ContentAction: TypeAlias = (
    ProtectContent | DeleteStored | LetContentGo | TakeSnapshot | LookAtStored | ForgetAttempt | LeaveContent
)


def is_of_driver(content: SnapshotContent, snapshot_class: SnapshotClass | None, driver: str) -> bool:
    """Whether a content is the driver's (SK-1); `snapshot_class` is its class, if that is there."""
    return content.driver == driver and (snapshot_class is None or snapshot_class.driver == driver)


def is_to_go(content: SnapshotContent, *, may_be_made: bool) -> bool:
    """Whether a content that is being deleted goes now (SK-3); `may_be_made`: an attempt's end isn't known."""
    if not content.is_deleting:
        return False
    if content.given_handle is not None and not content.ref.uid:
        return True
    return (
        BEING_DELETED in content.annotations and not (may_be_made and not content.handle) and not _is_announced(content)
    )


def decide_content(content: SnapshotContent, *, may_be_made: bool) -> ContentAction:
    """Say what to do about a content of our driver (SK-2 to SK-9); raise ContentMalformed.

    `may_be_made` says that a driver was asked for it and nobody knows what came of that.
    """
    if (content.volume_handle is None) == (content.given_handle is None):
        raise ContentMalformed("Exactly one of VolumeHandle and SnapshotHandle should be specified")
    if content.is_of_a_group:
        return LeaveContent()
    if not content.is_deleting and content.ref.uid and CONTENT_FINALIZER not in content.finalizers:
        return ProtectContent()
    if is_to_go(content, may_be_made=may_be_made):
        return _going(content)
    if content.volume_handle is not None and not content.handle:
        if content.is_deleting and not (may_be_made or _is_announced(content)):
            return LeaveContent()  # nothing is begun for it any more; it goes when its snapshot is deleted
        return TakeSnapshot()
    if _is_announced(content) and content.handle:
        return ForgetAttempt()
    if content.is_ready:
        return LeaveContent()
    return LookAtStored(content.handle or content.given_handle or "")


def is_news(before: SnapshotContent, after: SnapshotContent) -> bool:
    """Whether a change of a content asks for something (SK-11): what is written about an attempt doesn't.

    Else each failed attempt would bring the content back at once, by what it has written.
    """
    if after.is_ready and not before.is_ready:
        return True  # it may have been deleted while it was made
    if CONTENT_FINALIZER in before.finalizers and CONTENT_FINALIZER not in after.finalizers:
        return True
    return _asked(before) != _asked(after)


def _asked(content: SnapshotContent) -> tuple[object, ...]:
    annotations = {key: value for key, value in content.annotations.items() if key != BEING_CREATED}
    source = (content.driver, content.volume_handle, content.given_handle, content.class_name, content.ref)
    return (*source, content.deletion_policy, content.deletion_timestamp, annotations)


def _going(content: SnapshotContent) -> ContentAction:
    if content.deletion_policy == "Delete" and content.handle:
        return DeleteStored(content.handle)
    return LetContentGo() if CONTENT_FINALIZER in content.finalizers else LeaveContent()


def _is_announced(content: SnapshotContent) -> bool:
    return BEING_CREATED in content.annotations


def is_final(code: str) -> bool:
    """Whether CreateSnapshot that failed with `code`, in Go's words, is not going on in the driver (SK-7)."""
    return code not in _MAYBE_RUNNING


def is_refusal(code: str) -> bool:
    """Whether `code` refuses the request itself, so that no earlier attempt has made the snapshot either.

    A driver that has it answers OK: the interface demands that CreateSnapshot is idempotent by name.
    """
    return code in _REFUSED
