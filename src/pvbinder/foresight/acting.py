"""Each step of a rehearsal, carried out on the copy as its real counterpart would be.

ACTING-1  A step is a person's or a machine's act, made with requests to the server: it may be refused, and then that is
          told, and the rehearsal goes on.
ACTING-2  A lost machine reports nothing any more: its node becomes Unknown, its pods are evicted when their tolerations
          end (five minutes), and nobody ends them there, so they stay Terminating while the node is there.
ACTING-3  A drain keeps to disruption budgets; it gives up after `DRAIN_SECONDS_MAX` and says which pods are left.
ACTING-4  A restore leaves what is there alone. A volume that is kept comes back with its claim; one that goes with its
          claim isn't there any more, so its claim is provisioned anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

from pvbinder.foresight.applying import RefusedObject, apply, in_order, name_of, resource_of
from pvbinder.foresight.preparing import LEFT_OUT, NOT_PLAYED, WEBHOOKS
from pvbinder.foresight.rehearsal import Rehearsal
from pvbinder.foresight.steps import (
    ApplyStep,
    DeleteStep,
    DrainStep,
    LoseStep,
    RehearsalStep,
    RestoreStep,
    ScaleStep,
    StepError,
    WaitStep,
)
from pvbinder.insight.wording import listed, nearest
from pvbinder.kube.client import PATCH_CONTENT_TYPES
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import NODES, PODS, metadata_of
from pvbinder.kube.transport import Request
from pvbinder.model.json import Json, encode
from pvbinder.model.names import BETA_STORAGE_PROVISIONER, SELECTED_NODE, STORAGE_PROVISIONER
from pvbinder.model.objects import Node, Pod
from pvbinder.model.resources import Resource
from pvbinder.rules.pod_status import stamp

DRAIN_SECONDS_MAX: Final = 600.0  # virtual
EVICT_AGAIN_SECONDS: Final = 5.0  # as kubectl drain
EVICTED_AFTER_SECONDS: Final = 330.0  # the default toleration of a silent node is 300 s
_OLD_ZONE: Final = {
    "topology.kubernetes.io/zone": "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region": "failure-domain.beta.kubernetes.io/region",
}
_MIRROR: Final = "kubernetes.io/config.mirror"
_OF_A_BIND: Final = (
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    STORAGE_PROVISIONER,
    BETA_STORAGE_PROVISIONER,
    SELECTED_NODE,
)
_ORDER: Final = ("CustomResourceDefinition", "Namespace", "StorageClass", "PersistentVolume", "PersistentVolumeClaim")

ReadFiles: TypeAlias = Callable[[tuple[str, ...]], Iterable[tuple[str, Json]]]


@dataclass(frozen=True, slots=True)
class Acted:
    """What a step met: refusals of the server, and what a person should know."""

    refused: list[RefusedObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def act(copy: Rehearsal, step: RehearsalStep, read: ReadFiles) -> Acted:
    """Carry `step` out (ACTING-1); `read` gives the objects of files. Raises `StepError` for what isn't there."""
    match step:
        case DrainStep(node=name):
            return await _drain(copy, await _node(copy, name))
        case LoseStep():
            return await _lose(copy, await _nodes(copy, step))
        case DeleteStep():
            return await _delete(copy, step)
        case ApplyStep(files=files, namespace=namespace):
            applied = await apply(copy, in_order(read(files)), namespace=namespace)
            return Acted(applied.refused, applied.notes)
        case ScaleStep():
            return await _scale(copy, step)
        case RestoreStep(files=files):
            return await _restore(copy, read(files))
        case WaitStep(seconds=seconds):
            await copy.wait(seconds)
            return Acted()
        case _:
            assert_never(step)


# ------------------------------------------------------------------------------------------------ nodes


async def _node(copy: Rehearsal, name: str) -> Node:
    try:
        return await copy.client.get(NODES, name)
    except ApiFailure as failure:
        if not failure.is_not_found:
            raise
        near = nearest(name, [node.name for node in await copy.client.list_all(NODES)])
        raise StepError(f"there is no node {name!r}", hint=f"did you mean {near}?" if near else None) from failure


async def _nodes(copy: Rehearsal, step: LoseStep) -> list[Node]:
    if step.node:
        return [await _node(copy, step.node)]
    every = await copy.client.list_all(NODES)
    keys = (step.label, _OLD_ZONE.get(step.label, step.label))
    found = [node for node in every if any(node.labels.get(key) == step.value for key in keys)]
    if not found:
        values = sorted({node.labels[key] for node in every for key in keys if key in node.labels})
        hint = f"there are {listed(values, 10)}" if values else f"no node has the label {step.label}"
        raise StepError(f"no node has {step.label}={step.value}", hint=hint)
    return found


async def _lose(copy: Rehearsal, nodes: list[Node]) -> Acted:
    """Have the machines of `nodes` report nothing any more (ACTING-2)."""
    for node in nodes:
        change: Json = {"metadata": {"annotations": dict(NOT_PLAYED)}}
        await copy.client.patch(NODES, node.name, "", change, patch_type="merge")
        silent = {
            "type": "Ready",
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastTransitionTime": stamp(copy.clock()),
        }
        change = {"status": {"conditions": [silent]}}
        await copy.client.patch(NODES, node.name, "", change, patch_type="strategic", subresource="status")
    await copy.wait(EVICTED_AFTER_SECONDS)
    await copy.settle()
    names = {node.name for node in nodes}
    left = [pod.key for pod in await copy.client.list_all(PODS) if pod.node_name in names and pod.is_deleting]
    if not left:
        return Acted()
    which = "its node is" if len(nodes) == 1 else "their nodes are"
    note = (
        f"{listed(sorted(left))} stays Terminating until {which} deleted: go on with --do 'delete node/{nodes[0].name}'"
    )
    return Acted(notes=[note])


async def _drain(copy: Rehearsal, node: Node) -> Acted:
    """Evict the pods of `node` as far as their budgets allow (ACTING-3)."""
    await copy.client.patch(NODES, node.name, "", {"spec": {"unschedulable": True}}, patch_type="merge")
    acted = Acted()
    refusals: dict[str, RefusedObject] = {}
    alone = [pod.key for pod in await _movable(copy, node) if not pod.owner_references]
    if alone:
        acted.notes.append(f"{listed(sorted(alone))} has no controller: nothing makes it again")
    until = copy.now + DRAIN_SECONDS_MAX
    while pods := await _movable(copy, node):
        refusals = {}
        for pod in pods:
            refused = await _evict(copy, pod)
            if refused is not None:
                refusals[pod.key] = refused
        if copy.now >= until:
            break
        await copy.wait(EVICT_AGAIN_SECONDS)
    acted.refused.extend(refusals.values())
    return acted


async def _movable(copy: Rehearsal, node: Node) -> list[Pod]:
    """Return the pods that a drain evicts: not those of daemons, of the node itself, or that are over."""
    found = [pod for pod in await copy.client.list_all(PODS) if pod.node_name == node.name]
    return [
        pod
        for pod in found
        if not pod.is_terminated
        and not pod.is_deleting
        and not any(owner.kind == "DaemonSet" for owner in pod.owner_references)
        and _MIRROR not in (pod.document()["metadata"].get("annotations") or {})
    ]


async def _evict(copy: Rehearsal, pod: Pod) -> RefusedObject | None:
    body: Json = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod.name}}
    request = Request("POST", PODS.resource.path(pod.namespace, pod.name, "eviction"), body=encode(body))
    answer = await copy.client._transport.send(request)  # not repeated there: a 429 is an answer here
    if answer.status < 300 or answer.status == 404:
        return None
    failure = ApiFailure.from_answer(answer)
    return RefusedObject(f"Pod {pod.key}", "drain", failure.status, failure.reason, failure.message)


# ------------------------------------------------------------------------------------------------ objects


def _resource(copy: Rehearsal, word: str) -> Resource:
    """Return the resource that a person calls `word`, as kubectl finds it."""
    words: dict[str, Resource] = {}
    for served in copy.server.api.objects.registry:
        resource = served.resource
        names = (resource.plural, served.singular, resource.kind.lower(), *served.short_names, resource.qualified)
        for name in (*names, f"{served.singular}.{resource.group}"):
            words.setdefault(name, resource)
    found = words.get(word.lower())
    if found is None:
        near = nearest(word, words)
        raise StepError(f"there is no kind {word!r}", hint=f"did you mean {near}?" if near else None)
    return found


async def _delete(copy: Rehearsal, step: DeleteStep) -> Acted:
    resource = _resource(copy, step.kind)
    path = resource.path(step.namespace if resource.namespaced else None, step.name)
    name = f"{step.namespace}/{step.name}" if resource.namespaced else step.name
    return await _asked(copy, "delete", resource, Request("DELETE", path), f"{resource.kind} {name}", "delete")


async def _scale(copy: Rehearsal, step: ScaleStep) -> Acted:
    resource = _resource(copy, step.kind)
    change = encode({"spec": {"replicas": step.replicas}})
    path = resource.path(step.namespace, step.name)
    request = Request("PATCH", path, {}, change, PATCH_CONTENT_TYPES["merge"])
    return await _asked(copy, "patch", resource, request, f"{resource.kind} {step.namespace}/{step.name}", "scale")


async def _asked(copy: Rehearsal, verb: str, resource: Resource, request: Request, name: str, source: str) -> Acted:
    try:
        await copy.client.request("delete" if verb == "delete" else "patch", resource, request)
    except ApiFailure as failure:
        if failure.is_not_found:
            raise StepError(f"there is no {name}", hint=await _meant(copy, resource, name)) from failure
        return Acted([RefusedObject(name, source, failure.status, failure.reason, failure.message)])
    return Acted()


async def _meant(copy: Rehearsal, resource: Resource, name: str) -> str | None:
    """Say what may have been meant by the ``KIND [NAMESPACE/]NAME`` that isn't there."""
    key = name.partition(" ")[2]
    known = [view.key for view in await copy.client.list_all(metadata_of(resource))]
    elsewhere = sorted(each for each in known if each.rpartition("/")[2] == key.rpartition("/")[2])
    if elsewhere:
        return f"there is {listed(elsewhere)}: name its namespace with -n"
    near = nearest(key, known)
    return f"did you mean {near}?" if near else None


# ------------------------------------------------------------------------------------------------ restore


async def _restore(copy: Rehearsal, found: Iterable[tuple[str, Json]]) -> Acted:
    """Create what is missing of `found` (ACTING-4)."""
    documents = [(source, one) for source, one in found if one.get("kind") not in LEFT_OUT | WEBHOOKS]
    gone = {
        str(one["metadata"].get("name"))
        for _, one in documents
        if one.get("kind") == "PersistentVolume"
        and (one.get("spec") or {}).get("persistentVolumeReclaimPolicy") == "Delete"
    }
    acted = Acted()
    there = 0
    for source, document in sorted(_restorable(documents, gone), key=lambda one: _place(one[1])):
        try:
            resource = resource_of(copy, document)
            namespace = document["metadata"].get("namespace") if resource.namespaced else None
            await copy.client.request(
                "create", resource, Request("POST", resource.path(namespace), body=encode(document))
            )
        except ApiFailure as failure:
            if failure.is_already_exists:
                there += 1
                continue
            acted.refused.append(
                RefusedObject(name_of(document), source, failure.status, failure.reason, failure.message)
            )
    if there:
        acted.notes.append(f"{there} objects of the backup are there already, and were left alone")
    return acted


def _restorable(documents: list[tuple[str, Json]], gone: set[str]) -> Iterator[tuple[str, Json]]:
    for source, document in documents:
        metadata = dict(document.get("metadata") or {})
        owners = metadata.pop("ownerReferences", None) or ()
        if document.get("kind") == "Pod" and any(owner.get("controller") for owner in owners):
            continue  # its controller makes it
        if document.get("kind") == "PersistentVolume" and metadata.get("name") in gone:
            continue
        if document.get("kind") in ("Node", "CSINode", "VolumeAttachment", "ReplicaSet") and owners:
            continue
        for key in (
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "managedFields",
            "selfLink",
            "generation",
            "finalizers",
        ):
            metadata.pop(key, None)
        yield source, _unbound({**document, "metadata": metadata}, gone)


def _unbound(document: Json, gone: set[str]) -> Json:
    """Return a claim or a volume as a restore makes it: without the uids of those that are no more."""
    spec = dict(document.get("spec") or {})
    metadata = document["metadata"]
    match document.get("kind"):
        case "PersistentVolume":
            reference = {
                key: value for key, value in (spec.get("claimRef") or {}).items() if key in ("namespace", "name")
            }
            spec.pop("claimRef", None)
            if reference:
                spec["claimRef"] = reference
        case "PersistentVolumeClaim":
            if spec.get("volumeName") in gone:
                del spec["volumeName"]
        case _:
            return document
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in _OF_A_BIND}
    made = {**document, "metadata": {**metadata, "annotations": annotations}, "spec": spec}
    made.pop("status", None)
    return made


def _place(document: Json) -> int:
    kind = str(document.get("kind"))
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER) + (kind == "Pod")
