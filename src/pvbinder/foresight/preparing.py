"""The copy of a cluster, before anything runs: the objects that are loaded, and what a person should know of the rest.

PREPARING-1  What decides nothing here, or would reach out (events, leases, secrets, webhooks), isn't loaded; webhooks
             are told, since the real server asks them.
PREPARING-2  A dump that lacks the owners of its objects, or the nodes of its pods, says nothing about them: nothing is
             collected, evicted or ended for that.
PREPARING-3  A node that wasn't ready has nobody who plays its kubelet.
PREPARING-4  A claim whose provisioner failed, as its last event says, keeps waiting: nobody knows what would help.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from pvbinder.insight.instants import instant
from pvbinder.insight.manifests import USED
from pvbinder.model.json import Json
from pvbinder.server.kinds.registry import BUILT_IN

LEFT_OUT: Final = frozenset({"Event", "Lease", "Endpoints", "EndpointSlice", "Secret", "APIService", "ComponentStatus"})
WEBHOOKS: Final = frozenset({"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"})
NOT_PLAYED: Final = {"pvbinder.io/kubelet": "none"}
_OUTCOMES: Final = frozenset({"ProvisioningFailed", "ProvisioningSucceeded"})
_VERSIONS: Final = {kind.resource.kind: kind.resource.api_version for kind in BUILT_IN if kind.resource.kind in USED}


Sourced: TypeAlias = Sequence[tuple[str, Json]]  # objects, each after the name of its source


@dataclass(frozen=True, slots=True)
class Prepared:
    """The objects of a copy, each with the name of its source, and what goes with them."""

    documents: list[tuple[str, Json]]
    notes: list[str]
    moment: datetime
    failing: Mapping[str, str] = field(default_factory=dict)  # by the claim's uid: the words of its provisioner
    crowd: Mapping[str, int] = field(default_factory=dict)  # by node: pods that were left out as irrelevant


@dataclass(slots=True)
class _Preparation:
    documents: list[tuple[str, Json]] = field(default_factory=list)
    webhooks: int = 0
    newest: datetime | None = None
    failures: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)  # time, reason, message

    def take(self, source: str, document: Json) -> None:
        kind = str(document.get("kind"))
        if kind == "Event":
            self._note_event(document)
        elif kind in WEBHOOKS:
            self.webhooks += len(_list(document, "webhooks")) or 1
        elif kind not in LEFT_OUT:
            if "apiVersion" not in document and kind in _VERSIONS:  # a person may forget it
                document = {"apiVersion": _VERSIONS[kind], **document}
            self.documents.append((source, document))
            if kind == "Node":
                times = (one.get("lastHeartbeatTime") for one in _list(_map(document, "status"), "conditions"))
                self._see(*(str(time) for time in times if time))

    def _note_event(self, event: Json) -> None:
        time = str(event.get("lastTimestamp") or event.get("eventTime") or "")
        self._see(time)
        about = _map(event, "involvedObject")
        reason = str(event.get("reason"))
        if about.get("kind") == "PersistentVolumeClaim" and reason in _OUTCOMES:
            key = (str(about.get("namespace") or "default"), str(about.get("name")))
            self.failures[key] = max(self.failures.get(key, ("", "", "")), (time, reason, str(event.get("message"))))

    def _see(self, *times: str) -> None:
        found = [one for text in times if (one := instant(text)) is not None]
        self.newest = max([*found, *([self.newest] if self.newest else [])], default=None)


def prepare(
    found: Iterable[tuple[str, Json]], *, read_at: datetime | None = None, written_at: datetime | None = None
) -> Prepared:
    """Return what of `found` is loaded; its time is that of the reading, else the objects', else the file's."""
    taken = _Preparation()
    for source, document in found:
        taken.take(source, document)
    notes: list[str] = []
    if taken.webhooks:
        notes.append(
            f"{_count(taken.webhooks, 'webhook')} of admission would be asked by the real server, and isn't here"
        )
    documents = list(_without_missing_owners(taken.documents))
    documents = [(source, _with_kubelet(document)) for source, document in documents]
    documents += _stand_ins_for_nodes(documents, notes)
    failing = {
        str(_map(one, "metadata").get("uid")): told[2]
        for _, one in documents
        if one.get("kind") == "PersistentVolumeClaim" and not _map(one, "spec").get("volumeName")
        if (told := taken.failures.get(key_of(one))) is not None and told[1] == "ProvisioningFailed"
    }
    return Prepared(documents, notes, read_at or taken.newest or written_at or datetime.now(UTC), failing)


def key_of(document: Json) -> tuple[str, str]:
    """Return the namespace and the name of an object of a kind in namespaces."""
    metadata = _map(document, "metadata")
    return str(metadata.get("namespace") or "default"), str(metadata.get("name"))


def _without_missing_owners(documents: list[tuple[str, Json]]) -> Iterator[tuple[str, Json]]:
    """PREPARING-2: the garbage collector may only judge by owners that could be there."""
    uids = {_map(one, "metadata").get("uid") for _, one in documents}
    for source, document in documents:
        metadata = _map(document, "metadata")
        owners = _list(metadata, "ownerReferences")
        known = [one for one in owners if one.get("uid") in uids]
        if len(known) != len(owners):
            document = {**document, "metadata": {**metadata, "ownerReferences": known}}
        yield source, document


def _with_kubelet(document: Json) -> Json:
    if document.get("kind") != "Node":
        return document
    ready = [one.get("status") for one in _list(_map(document, "status"), "conditions") if one.get("type") == "Ready"]
    if not ready or ready[0] == "True":
        return document
    metadata = _map(document, "metadata")
    annotations = {**_map(metadata, "annotations"), **NOT_PLAYED}
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def _stand_ins_for_nodes(documents: list[tuple[str, Json]], notes: list[str]) -> list[tuple[str, Json]]:
    """Return a cordoned node for each that pods are on, if the dump has no nodes at all (PREPARING-2)."""
    if any(one.get("kind") == "Node" for _, one in documents):
        return []
    on = Counter(str(_map(one, "spec").get("nodeName") or "") for _, one in documents if one.get("kind") == "Pod")
    names = sorted(name for name in on if name)
    notes.append("there are no nodes: no pod is scheduled, and a claim that waits for its first consumer keeps waiting")
    return [("a missing node", _node(name)) for name in names]


def _node(name: str) -> Json:
    metadata = {"name": name, "annotations": dict(NOT_PLAYED)}
    ready = {"type": "Ready", "status": "True", "reason": "Unknown", "message": "the dump has no nodes"}
    spec = {"unschedulable": True}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": {"conditions": [ready]}}


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _map(document: Json, name: str) -> Json:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _list(document: Json, name: str) -> list[Json]:
    found = document.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
