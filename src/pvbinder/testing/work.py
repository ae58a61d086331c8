"""What a test asks of its cluster, as coroutines on the cluster's thread; `k8s` has the words that tests use.

WORK-1  ObjectsBefore are applied server-side as the manager ``pvbinder-testing``, with force: a test says what is.
WORK-2  A namespaced object that names no namespace is of the test's.
WORK-3  A wait ends when what it waits for is seen in a read or a watch, or after its time with `NotInTime`, which says
        what `pvbinder explain` says of the object, its events, and what was decided meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, assert_never

from pvbinder.insight.claims import explain_claim
from pvbinder.insight.explanation import (
    ClaimExplanation,
    Explanation,
    PodExplanation,
    SetExplanation,
    Verdict,
    VolumeExplanation,
)
from pvbinder.insight.pods import explain_pod
from pvbinder.insight.reading import read_cluster
from pvbinder.insight.report_others import report_of
from pvbinder.insight.stateful_sets import explain_set
from pvbinder.insight.volumes import explain_volume
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import claim_key
from pvbinder.model.resources import EVENTS, Resource
from pvbinder.sources.reading import read_dumps
from pvbinder.sources.texts import objects_in
from pvbinder.testing.cluster import ClusterUnderTest, OnlyOnOwnServerError
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

MANAGER: Final = "pvbinder-testing"
VOLUMES_SHOWN_MAX: Final = 10
DECISIONS_SHOWN_MAX: Final = 30
EXPLAINED: Final = ("PersistentVolumeClaim", "PersistentVolume", "Pod", "StatefulSet")

Appliable = Mapping[str, Any] | str | PathLike[str]
Predicate = Callable[[Json], bool]


class NotInTime(AssertionError):  # noqa: N818  (a failed assertion, for the test's report)
    """What a test waited for didn't come."""


@dataclass(frozen=True, slots=True)
class Why:
    """What `pvbinder explain` says of an object; as a text it is what the command prints."""

    explanation: Explanation

    @property
    def verdict(self) -> Verdict:
        """Whether it is bound, on its way by itself, or stuck."""
        return self.explanation.verdict

    @property
    def reason(self) -> str:
        """The reason in one word (`insight.explanation.ReasonCode`); that of its worst claim for a pod or a set."""
        return _reason(self.explanation)

    @property
    def summary(self) -> str:
        """The reason as a sentence."""
        return self.explanation.summary

    def __str__(self) -> str:
        """Return the whole report."""
        return report_of(self.explanation, VOLUMES_SHOWN_MAX)


def _reason(explanation: Explanation) -> str:
    match explanation:
        case ClaimExplanation() | VolumeExplanation():
            return explanation.reason
        case PodExplanation():
            return next((claim.reason for claim in explanation.claims), explanation.verdict)
        case SetExplanation():
            return next(map(_reason, explanation.pods), explanation.verdict)
        case _:
            assert_never(explanation)


class NamespaceWork:
    """The work for one test."""

    def __init__(self, cluster: ClusterUnderTest, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._client = cluster.client
        self.cluster_wide: list[tuple[Resource, str]] = []  # what was made outside the namespace

    async def apply(self, document: Mapping[str, Any]) -> Json:
        """Apply an object (WORK-1) and return it as stored."""
        resource = await self.cluster.kinds.of_document(document)
        wanted: Json = {**document, "metadata": dict(document.get("metadata") or {})}
        where = self._place(resource, wanted["metadata"].get("namespace"))
        if where:
            wanted["metadata"]["namespace"] = where
        status = wanted.pop("status", None) if resource.kind == "Node" else None
        name = wanted["metadata"].get("name", "")
        if not name and wanted["metadata"].get("generateName"):
            found = (await self._client.create(metadata_of(resource), wanted)).document()
        elif not name:
            raise PvbinderError(f"a {resource.kind} without metadata.name can't be applied")
        else:
            found = await self._applied(resource, where, name, wanted)
        if status:
            await self._applied(resource, where, name, {**wanted, "status": status}, "status")
            taints = (wanted.get("spec") or {}).get("taints")  # not that of a new node, which a test has no time for
            found = await self.patch(resource, name, where, {"spec": {"taints": taints}}, "")
        if not where:
            self.cluster_wide.append((resource, found["metadata"]["name"]))
        return found

    async def _applied(
        self, resource: Resource, where: str, name: str, wanted: Json, subresource: str | None = None
    ) -> Json:
        query = {"fieldManager": MANAGER, "force": "true"}
        kind = metadata_of(resource)
        view = await self._client.patch(
            kind, name, where, wanted, patch_type="apply", query=query, subresource=subresource
        )
        return view.document()

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json:
        """Read an object; raises `ApiFailure` if it isn't there."""
        view = await self._client.get(metadata_of(resource), name, self._place(resource, namespace))
        return view.document()

    async def list_all(self, resource: Resource, namespace: str | None, label_selector: str) -> list[Json]:
        """Read all objects of a kind, those of the test's namespace where they have one."""
        where = self._place(resource, namespace)
        found = await self._client.list_all(metadata_of(resource), where, label_selector=label_selector)
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [{**kind, **view.document()} for view in found]

    async def patch(self, resource: Resource, name: str, namespace: str, change: Json, subresource: str) -> Json:
        """Change an object by a merge patch."""
        view = await self._client.patch(
            metadata_of(resource), name, namespace, change, patch_type="merge", subresource=subresource or None
        )
        return view.document()

    async def delete(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        """Delete an object; one that isn't there is deleted already."""
        try:
            await self._client.delete(metadata_of(resource), name, self._place(resource, namespace))
        except ApiFailure as failure:
            if not failure.is_not_found:
                raise

    async def wait(
        self, resource: Resource, name: str, namespace: str, holds: Predicate, seconds: float, what: str
    ) -> Json:
        """Wait until `holds` of the object, which may come into being meanwhile (WORK-3)."""
        __tracebackhide__ = True
        last: list[Json] = []

        def looked_at(document: Json | None) -> bool:
            last[:] = [document] if document is not None else []
            return document is not None and holds(document)

        try:
            async with asyncio.timeout(seconds):
                await self._until(resource, name, namespace, looked_at)
        except TimeoutError:
            raise NotInTime(await self._failure(resource, name, namespace, what, seconds, last)) from None
        return last[0]

    async def wait_gone(self, resource: Resource, name: str, namespace: str, seconds: float) -> None:
        """Wait until there is no such object any more (WORK-3)."""
        __tracebackhide__ = True
        last: list[Json] = []

        def is_gone(document: Json | None) -> bool:
            last[:] = [document] if document is not None else []
            return document is None

        try:
            async with asyncio.timeout(seconds):
                await self._until(resource, name, namespace, is_gone)
        except TimeoutError:
            raise NotInTime(await self._failure(resource, name, namespace, "gone", seconds, last)) from None

    async def _until(
        self, resource: Resource, name: str, namespace: str, enough: Callable[[Json | None], bool]
    ) -> None:
        kind, selector = metadata_of(resource), f"metadata.name={name}"
        while True:
            page = await self._client.peek(kind, namespace, field_selector=selector)
            if enough(page.items[0].document() if page.items else None):
                return
            watching = self._client.watch(kind, page.resource_version, namespace, field_selector=selector)
            try:
                async with watching as events:
                    async for event in events:
                        if event.object is None:
                            continue
                        if enough(None if event.type == "DELETED" else event.object.document()):
                            return
            except ApiFailure as failure:
                if not failure.is_expired:
                    raise

    async def why(self, document: Json) -> Why:
        """Return what `pvbinder explain` says of an object."""
        kind, metadata = document["kind"], document["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", "")
        key = f"{namespace}/{name}"
        plugins = load_catalogue(in_tree_plugins())
        snapshot, _ = await read_cluster(self._client, namespace, plugins=plugins)
        explanation: Explanation | None = None
        match kind:
            case "PersistentVolumeClaim":
                claim = snapshot.claim(claim_key(namespace, name))
                explanation = explain_claim(claim, snapshot) if claim is not None else None
            case "PersistentVolume":
                volume = snapshot.volume(name)
                explanation = explain_volume(volume, snapshot) if volume is not None else None
            case "Pod":
                pod = snapshot.pod(key)
                explanation = explain_pod(pod, snapshot) if pod is not None else None
            case "StatefulSet":
                stateful_set = snapshot.stateful_set(key)
                explanation = explain_set(stateful_set, snapshot) if stateful_set is not None else None
            case _:
                raise PvbinderError(f"a {kind} can't be explained", hint=f"those can: {', '.join(EXPLAINED)}")
        if explanation is None:
            raise PvbinderError(f"there is no {kind} {name} to be explained")
        return Why(explanation)

    async def events(self, document: Json) -> list[Json]:
        """Return the events about an object, the oldest first."""
        metadata = document["metadata"]
        selector = f"involvedObject.name={metadata['name']},involvedObject.kind={document['kind']}"
        where = metadata.get("namespace") or "default"
        found = await self._client.list_all(metadata_of(EVENTS), where, field_selector=selector)
        told = [view.document() for view in found]
        return sorted(told, key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))

    def _place(self, resource: Resource, namespace: str | None) -> str:
        return (namespace or self.namespace) if resource.namespaced else ""

    async def _failure(
        self, resource: Resource, name: str, namespace: str, what: str, seconds: float, last: list[Json]
    ) -> str:
        where = f"{namespace}/{name}" if namespace else name
        lines = [f"{resource.kind} {where} is not {what} after {seconds:g} s"]
        if not last:
            lines.append("it isn't there")
        else:
            lines += [line async for line in self._told(resource, last[0])]
        try:
            decisions = self.cluster.recorder.decisions()[-DECISIONS_SHOWN_MAX:]
        except OnlyOnOwnServerError:
            decisions = []
        if decisions:
            lines += ["", "what was decided in this test:", *(f"  {one}" for one in decisions)]
        return "\n".join(lines)

    async def _told(self, resource: Resource, document: Json) -> AsyncIterator[str]:
        if resource.kind in EXPLAINED:
            try:
                why = await self.why({**document, "kind": resource.kind})
                for line in str(why).splitlines():
                    yield f"  {line}"
            except PvbinderError as error:
                yield f"  it can't be explained: {error.message}"
            return
        yield f"  status: {document.get('status')!r:.500}"
        for event in await self.events({**document, "kind": resource.kind}):
            yield f"  {event.get('type')} {event.get('reason')}: {event.get('message')}"


def documents_in(source: Appliable, root: Path) -> list[Json]:
    """Return the objects of a dictionary, of a text of YAML or JSON, or of a file or directory, below `root`."""
    if isinstance(source, Mapping):
        return list(objects_in("the object", encode(dict(source))))
    if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        return list(objects_in("the text", source.encode()))
    return list(read_dumps([str(root / source)]))
