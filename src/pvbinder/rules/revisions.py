"""The history of a workload's template: ControllerRevisions of stateful sets and daemon sets.

RECORDS-1  A template that a revision has already is not recorded again: that revision becomes the newest.
RECORDS-2  Beyond the limit the oldest revisions go that nothing runs with.

A revision's data are the patch that ``kubectl rollout undo`` sends to the workload.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.resources import Resource
from pvbinder.model.workloads import Workload, number
from pvbinder.rules.pod_templates import controller_reference, template_hash

LIMIT_DEFAULT: Final = 10


class Recorded(Struct, frozen=True):
    """The parts of a revision."""

    resource: Resource  # of the workload
    name: str
    namespace: str
    uid: str
    annotations: dict[str, str]
    template: Json
    hash_label: str  # the label that carries the hash of the template
    collisions: int = 0


class UseRevision(Struct, frozen=True):
    """The template has this revision, and it is the newest."""

    revision: Workload


class RenumberRevision(Struct, frozen=True):
    """The template has a revision that must become the newest: write it so."""

    document: Json


class CreateRevision(Struct, frozen=True):
    """The template is new."""

    document: Json


Recording: TypeAlias = UseRevision | RenumberRevision | CreateRevision


def revision_number(revision: Workload) -> int:
    """Return its number."""
    return number(revision.spec, "revision")


def in_order(revisions: Sequence[Workload]) -> list[Workload]:
    """Return `revisions`, the newest last."""
    return sorted(revisions, key=lambda one: (revision_number(one), one.created, one.name))


def template_of(revision: Workload) -> Json:
    """Return the template that `revision` recorded."""
    data = revision.spec.get("data")
    spec = data.get("spec") if isinstance(data, dict) else None
    template = spec.get("template") if isinstance(spec, dict) else None
    return {key: value for key, value in template.items() if key != "$patch"} if isinstance(template, dict) else {}


def decide_recording(recorded: Recorded, revisions: Sequence[Workload]) -> Recording:
    """Say how the template gets, or has, its revision (RECORDS-1)."""
    ordered = in_order(revisions)
    last = revision_number(ordered[-1]) if ordered else 0
    same = next((one for one in reversed(ordered) if template_of(one) == recorded.template), None)
    if same is None:
        return CreateRevision(revision_document(recorded, last + 1))
    if same is ordered[-1] or revision_number(same) == last:
        return UseRevision(same)
    return RenumberRevision({**same.document(), "revision": last + 1})


def revision_document(recorded: Recorded, revision: int) -> Json:
    """Return the revision of the template, with that number."""
    template = copy.deepcopy(recorded.template)
    name = template_hash(template, recorded.collisions)
    labels = (template.get("metadata") or {}).get("labels") or {}
    metadata: Json = {
        "name": f"{recorded.name}-{name}",
        "namespace": recorded.namespace,
        "labels": {**labels, recorded.hash_label: name},
        "ownerReferences": [controller_reference(recorded.resource, recorded.name, recorded.uid)],
    }
    annotations = {
        key: value
        for key, value in recorded.annotations.items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": revision,
    }


def beyond_history(revisions: Sequence[Workload], in_use: Collection[str], limit: int) -> list[Workload]:
    """Return the revisions that go (RECORDS-2); `in_use` are the names of those that something runs with."""
    spare = [one for one in in_order(revisions) if one.name not in in_use and not one.is_deleting]
    return spare[: max(len(spare) - limit, 0)]
