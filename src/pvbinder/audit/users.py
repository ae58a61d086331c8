"""The users of claims: pods, templates of workloads, owners, and claims that are made from them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from pvbinder.audit.finding import AuditSubject
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, ClaimKey, claim_key
from pvbinder.model.stateful_sets import StatefulSet

TEMPLATED: Final = ("Deployment", "ReplicaSet", "ReplicationController", "DaemonSet", "Job", "CronJob")
_ORDINAL: Final = re.compile(r"(.+-)[0-9]{1,10}", re.ASCII)


class Workload(Struct, frozen=True):
    """A workload whose template names claims; `replicas` of None is as many as there are nodes, or one a run."""

    subject: AuditSubject
    replicas: int | None
    strategy: str
    template: Json
    claims: tuple[str, ...]  # names, in its namespace

    @property
    def is_owned(self) -> bool:
        """Tell whether another workload made it, such as a ReplicaSet of a Deployment."""
        return self.strategy == "owned"


class Users:
    """Who uses which claim, in one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.workloads = list(_workloads(snapshot))
        self._by_claim: dict[ClaimKey, list[Workload]] = {}
        for each in self.workloads:
            for name in each.claims:
                self._by_claim.setdefault(claim_key(each.subject.namespace, name), []).append(each)
        self._prefixes: dict[str, dict[str, StatefulSet]] = {}
        for found in snapshot.stateful_sets():
            for template in found.claim_templates:
                prefix = f"{name_of(template)}-{found.name}-"
                self._prefixes.setdefault(found.namespace, {})[prefix] = found
        self._sources = {source for claim in snapshot.claims() if (source := _source(claim)) is not None}

    def workloads_of(self, key: ClaimKey) -> list[Workload]:
        """Return the workloads whose template names the claim `key`."""
        return self._by_claim.get(key, [])

    def stateful_set_of(self, claim: Claim) -> StatefulSet | None:
        """Return the StatefulSet whose templates make a claim of that name, whatever its replicas."""
        found = _ORDINAL.fullmatch(claim.name)
        return self._prefixes.get(claim.namespace, {}).get(found[1]) if found is not None else None

    def user_of(self, claim: Claim) -> str:
        """Name one user of `claim`; ``""`` if nobody uses it."""
        for pod in self._snapshot.pods_of(claim.key):
            return f"pod {pod.name}"
        for workload in self.workloads_of(claim.key):
            return str(workload.subject)
        stateful_set = self.stateful_set_of(claim)
        if stateful_set is not None:
            return f"StatefulSet {stateful_set.key}"
        if claim.key in self._sources:
            return "a claim that is made from it"
        for owner in claim.owner_references:
            if not self._is_gone(owner.kind, claim.namespace, owner.name):
                return f"{owner.kind} {owner.name}, its owner"
        return ""

    def _is_gone(self, kind: str, namespace: str, name: str) -> bool:
        """Whether the owner is of a kind that is known, and isn't there."""
        key = f"{namespace}/{name}"
        if kind == "Pod":
            return self._snapshot.knows(kind) and self._snapshot.pod(key) is None
        if kind == "StatefulSet":
            return self._snapshot.knows(kind) and self._snapshot.stateful_set(key) is None
        if kind in TEMPLATED and self._snapshot.knows(kind):
            return all(str(each.subject) != f"{kind} {key}" for each in self.workloads)
        return False


def _workloads(snapshot: Snapshot) -> Iterator[Workload]:
    for found in snapshot.stateful_sets():
        subject = AuditSubject("StatefulSet", found.namespace, found.name)
        yield Workload(subject, found.replicas, "RollingUpdate", found.template, tuple(claims_in(found.template)))
    for kind in TEMPLATED:
        for document in snapshot.others(kind):
            metadata, spec = part(document, "metadata"), part(document, "spec")
            holder = part(part(spec, "jobTemplate"), "spec") if kind == "CronJob" else spec
            template = part(holder, "template")
            replicas = spec.get("parallelism" if kind == "Job" else "replicas", 1)
            subject = AuditSubject(kind, str(metadata.get("namespace") or "default"), str(metadata.get("name") or ""))
            owned = any(
                isinstance(one, dict) and one.get("controller") for one in metadata.get("ownerReferences") or ()
            )
            strategy = "owned" if owned else str(part(spec, "strategy").get("type") or "RollingUpdate")
            counts = kind in ("Deployment", "ReplicaSet", "ReplicationController", "Job")
            yield Workload(
                subject,
                replicas if counts and isinstance(replicas, int) else None,
                strategy,
                template,
                tuple(claims_in(template)),
            )


def claims_in(template: Json) -> Iterator[str]:
    """Yield the names of the claims that the pods of `template` use."""
    volumes = part(template, "spec").get("volumes")
    for volume in volumes if isinstance(volumes, list) else ():
        name = part(volume, "persistentVolumeClaim").get("claimName") if isinstance(volume, dict) else None
        if isinstance(name, str) and name:
            yield name


def part(document: Mapping[str, Any], name: str) -> Json:
    """Return the map called `name`, or an empty one."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def name_of(document: Json) -> str:
    """Return the name in the metadata of `document`."""
    return str(part(document, "metadata").get("name") or "")


def _source(claim: Claim) -> ClaimKey | None:
    """The claim that `claim` is a clone of."""
    if not claim.has_data_source:
        return None
    spec = part(claim.document(), "spec")
    source = part(spec, "dataSourceRef") or part(spec, "dataSource")
    if source.get("kind") != "PersistentVolumeClaim":
        return None
    return claim_key(str(source.get("namespace") or claim.namespace), str(source.get("name") or ""))
