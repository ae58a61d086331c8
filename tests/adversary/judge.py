"""The judge of irreversible writes: it compares each with the true state, at the moment of the write.

The judge stands directly before the API server and sees each write that will be carried out, with its user. It reads
the true state from the server itself, past all false answers, and notes each write that this state doesn't justify.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.adversary.answers import Asked, asked_by

from pvbinder.kube.client import Client
from pvbinder.kube.discovery import discover
from pvbinder.kube.transport import Request, Transport
from pvbinder.model.names import PV_PROTECTION_FINALIZER, PVC_PROTECTION_FINALIZER, VAC_PROTECTION_FINALIZER
from pvbinder.model.ownership import FOREGROUND, ORPHAN
from pvbinder.model.resources import Resource

Document = dict[str, Any]
EVENTS: Final = "events"


@dataclass
class Judge:
    """Notes every irreversible write that the true state doesn't justify."""

    truth: Transport
    crimes: list[str] = field(default_factory=list)
    _kinds: tuple[Resource, ...] = ()

    async def look(self, user: str, request: Request) -> None:
        """Judge a write of `user` before it is carried out."""
        asked = asked_by(request)
        if asked.plural == EVENTS:
            return
        before = await self._read(request.path.removesuffix(f"/{asked.subresource}")) if asked.name else None
        wanted: Document = json.loads(request.body) if request.body else {}
        for crime in await self._crimes(user, asked, before, wanted):
            self.crimes.append(f"{user}: {request.method} {request.path}: {crime}")

    async def _crimes(self, user: str, asked: Asked, before: Document | None, wanted: Document) -> list[str]:
        if asked.method == "DELETE":
            return await self._deleted(user, asked, before)
        if before is None or before["metadata"]["resourceVersion"] != wanted.get("metadata", {}).get("resourceVersion"):
            return []  # refused by the server, or without effect on stored objects
        lost = set(before["metadata"].get("finalizers") or ())
        if (not asked.subresource and "finalizers" in wanted["metadata"]) or asked.method == "PUT":
            lost -= set(wanted["metadata"].get("finalizers") or ())
        else:
            lost = set()
        found: list[str] = []
        match asked.plural, asked.subresource:
            case "persistentvolumeclaims", "":
                found += await self._claim_let_go(before) if PVC_PROTECTION_FINALIZER in lost else []
                found += await self._claim_given_away(before, wanted)
            case "persistentvolumeclaims", "status" if wanted.get("status", {}).get("phase") == "Lost":
                found += await self._called_lost(before)
            case "persistentvolumes", "":
                if PV_PROTECTION_FINALIZER in lost and before.get("status", {}).get("phase") == "Bound":
                    found.append("the volume is bound")
                if not (wanted.get("spec") or {}).get("claimRef"):
                    found += await self._claim_alive(before, "is taken from its volume")
            case "persistentvolumes", "status" if wanted.get("status", {}).get("phase") == "Released":
                found += await self._claim_alive(before, "is there and its volume is called released")
            case "volumeattributesclasses", "" if VAC_PROTECTION_FINALIZER in lost:
                found += await self._class_let_go(before)
            case "namespaces", "finalize":
                found += await self._namespace_let_go(asked.name)
        if lost & {ORPHAN, FOREGROUND}:
            found += await self._dependents_left(before, only_blocking=ORPHAN not in lost)
        return found

    # -- each act

    async def _deleted(self, user: str, asked: Asked, before: Document | None) -> list[str]:
        if user == "namespace-controller":
            namespace = await self._read(f"/api/v1/namespaces/{asked.namespace}")
            is_going = namespace is not None and namespace["metadata"].get("deletionTimestamp")
            return [] if is_going else ["the namespace is not being deleted"]
        if before is None:
            return []
        match user:
            case "generic-garbage-collector":
                return await self._owners_alive(before)
            case "persistent-volume-binder":
                return await self._claim_alive(before, "is there and its volume is deleted")
            case "statefulset-controller":
                return await self._pod_wanted(before)
            case "pod-garbage-collector" if before["spec"].get("nodeName"):
                node = await self._read(f"/api/v1/nodes/{before['spec']['nodeName']}")
                return ["the node of the pod is there"] if node is not None else []
            case "node-controller":
                node = await self._read(f"/api/v1/nodes/{before['spec']['nodeName']}")
                taints = (node or {}).get("spec", {}).get("taints") or []
                return [] if any(taint["effect"] == "NoExecute" for taint in taints) else ["nothing ends the pod"]
            case "kubelet" if not before["metadata"].get("deletionTimestamp"):
                return ["nobody deleted the pod"]
        return []

    async def _owners_alive(self, obj: Document) -> list[str]:
        owners = obj["metadata"].get("ownerReferences") or []
        found = [] if owners else ["it has no owner"]
        for owner in owners:
            there = await self._owner(obj["metadata"].get("namespace", ""), owner)
            if there is None or there["metadata"]["uid"] != owner["uid"]:
                continue
            if FOREGROUND in (there["metadata"].get("finalizers") or ()) and there["metadata"].get("deletionTimestamp"):
                continue
            found.append(f"its owner {owner['kind']} {owner['name']} lives")
        return found

    async def _owner(self, namespace: str, owner: Document) -> Document | None:
        for resource in await self._all_kinds():
            if (resource.api_version, resource.kind) == (owner["apiVersion"], owner["kind"]):
                return await self._read(resource.path(namespace if resource.namespaced else None, owner["name"]))
        return None

    async def _dependents_left(self, owner: Document, *, only_blocking: bool) -> list[str]:
        uid, namespace = owner["metadata"]["uid"], owner["metadata"].get("namespace")
        found = []
        for resource in await self._all_kinds():
            for one in await self._list(resource.path(namespace if resource.namespaced else None)):
                found += [
                    f"{resource.kind} {one['metadata']['name']} still names it as its owner"
                    for reference in one["metadata"].get("ownerReferences") or []
                    if reference["uid"] == uid and (reference.get("blockOwnerDeletion") or not only_blocking)
                ]
        return found

    async def _claim_let_go(self, claim: Document) -> list[str]:
        meta = claim["metadata"]
        return [
            f"pod {pod['metadata']['name']} uses the claim"
            for pod in await self._list(f"/api/v1/namespaces/{meta['namespace']}/pods")
            if pod["spec"].get("nodeName")
            and any(
                (volume.get("persistentVolumeClaim") or {}).get("claimName") == meta["name"]
                for volume in pod["spec"].get("volumes") or []
            )
        ]

    async def _claim_given_away(self, before: Document, wanted: Document) -> list[str]:
        """A claim that belongs to a pod of a stateful set goes with that pod."""
        had = {owner["uid"] for owner in before["metadata"].get("ownerReferences") or []}
        for owner in wanted["metadata"].get("ownerReferences") or []:
            if owner["kind"] == "Pod" and owner["uid"] not in had:
                pod = await self._read(f"/api/v1/namespaces/{before['metadata']['namespace']}/pods/{owner['name']}")
                return [f"{one}, its claim was given to it" for one in await self._pod_wanted(pod)] if pod else []
        return []

    async def _pod_wanted(self, pod: Document) -> list[str]:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return []
        for owner in pod["metadata"].get("ownerReferences") or []:
            stateful = await self._read(
                f"/apis/apps/v1/namespaces/{pod['metadata']['namespace']}/statefulsets/{owner['name']}"
            )
            if stateful is None or stateful["metadata"]["uid"] != owner["uid"]:
                continue
            if int(pod["metadata"]["name"].rpartition("-")[2]) < stateful["spec"]["replicas"]:
                return ["the set wants the pod"]
        return []

    async def _called_lost(self, claim: Document) -> list[str]:
        name = claim["spec"].get("volumeName")
        volume = await self._read(f"/api/v1/persistentvolumes/{name}") if name else None
        reference = (volume or {}).get("spec", {}).get("claimRef") or {}
        return ["its volume is there, and bound to it"] if reference.get("uid") == claim["metadata"]["uid"] else []

    async def _claim_alive(self, volume: Document, what: str) -> list[str]:
        reference = volume["spec"].get("claimRef") or {}
        if not reference.get("uid"):
            return []
        claim = await self._read(
            f"/api/v1/namespaces/{reference['namespace']}/persistentvolumeclaims/{reference['name']}"
        )
        is_alive = claim is not None and claim["metadata"]["uid"] == reference["uid"]
        return [f"its claim {reference['name']} {what}"] if is_alive else []

    async def _class_let_go(self, attributes_class: Document) -> list[str]:
        name = attributes_class["metadata"]["name"]
        found = []
        for path in ("/api/v1/persistentvolumes", "/api/v1/persistentvolumeclaims"):
            found += [
                f"{one['metadata']['name']} names the class"
                for one in await self._list(path)
                if one["spec"].get("volumeAttributesClassName") == name
            ]
        return found

    async def _namespace_let_go(self, name: str) -> list[str]:
        found = []
        for resource in await self._all_kinds():
            if resource.namespaced and resource.plural != EVENTS:
                listed = await self._list(resource.path(name))
                found += [f"{resource.kind} {one['metadata']['name']} is still in it" for one in listed]
        return found

    # -- the truth

    async def _all_kinds(self) -> Iterable[Resource]:
        if not self._kinds:
            found = (await discover(Client(self.truth))).kinds
            self._kinds = tuple(kind.resource for kind in found if kind.allows("list", "delete"))
        return self._kinds

    async def _read(self, path: str) -> Document | None:
        answer = await self.truth.send(Request("GET", path))
        if answer.status != 200:
            return None
        document: Document = json.loads(answer.body)
        return document

    async def _list(self, path: str) -> list[Document]:
        document = await self._read(path)
        items: list[Document] = (document or {}).get("items") or []
        return items
