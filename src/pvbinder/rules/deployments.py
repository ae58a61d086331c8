"""The next steps of a Deployment: its replica sets, how many pods each may have, and which old ones go.

DEPLOY-NEW    The newest replica set is the one with the deployment's template; it has the highest revision, and the
              deployment's annotations.
DEPLOY-ROLL   RollingUpdate: never more than ``replicas + maxSurge`` pods, never fewer available ones than ``replicas -
              maxUnavailable``; old pods that aren't available go first.
DEPLOY-ANEW   Recreate: the new replica set comes when no old pod runs any more.
DEPLOY-SCALE  A deployment that is scaled while it rolls shares the difference among its replica sets in proportion.
DEPLOY-PAUSE  A paused deployment is scaled, but not rolled.
DEPLOY-LIMIT  Beyond ``revisionHistoryLimit`` the oldest empty replica sets go, once the rollout is done.

`decide_deployment` returns the steps to take now; a step that must wait for pods comes at the next look.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.workloads import DEPLOYMENTS, Workload, number
from pvbinder.rules.deployment_scaling import (
    allowed_surge,
    is_saturated,
    max_unavailable,
    new_set_replicas,
    proportional_sizes,
    sum_replicas,
)
from pvbinder.rules.pod_templates import controller_reference, template_hash

REVISION: Final = "deployment.kubernetes.io/revision"
REVISION_HISTORY: Final = "deployment.kubernetes.io/revision-history"
DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
MAX: Final = "deployment.kubernetes.io/max-replicas"
HASH_LABEL: Final = "pod-template-hash"
HISTORY_CHARACTERS_MAX: Final = 2000
UNLIMITED: Final = 2**31 - 1
_NOT_COPIED: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAX,
        "deprecated.deployment.rollback.to",
    }
)


class CreateReplicaSet(Struct, frozen=True):
    """Make the replica set of the deployment's template, with that many pods."""

    document: Json
    replicas: int


class ChangeReplicaSet(Struct, frozen=True):
    """Write the replica set so; `scaled` are its numbers of pods before and after, if they differ."""

    document: Json
    scaled: tuple[int, int] | None


class DeleteReplicaSet(Struct, frozen=True):
    """An old one that isn't needed for a rollback any more."""

    replica_set: Workload


Step: TypeAlias = CreateReplicaSet | ChangeReplicaSet | DeleteReplicaSet


class ReplicaSetsOf(Struct, frozen=True):
    """The replica sets of a deployment: that of its template, and the others, oldest first."""

    new: Workload | None
    old: tuple[Workload, ...]

    @property
    def all(self) -> tuple[Workload, ...]:
        """All of them."""
        return (*self.old, self.new) if self.new is not None else self.old


def sorted_out(deployment: Workload, replica_sets: Sequence[Workload]) -> ReplicaSetsOf:
    """Find the replica set that has the deployment's template (the oldest, should there be several)."""
    by_age = sorted(replica_sets, key=lambda one: (one.created, one.name))
    wanted = deployment.spec.get("template") or {}
    new = next((one for one in by_age if template_without_hash(one.spec.get("template") or {}) == wanted), None)
    return ReplicaSetsOf(new, tuple(one for one in by_age if one is not new))


def template_without_hash(template: Json) -> Json:
    """Return `template` without the label that tells replica sets apart."""
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if HASH_LABEL not in labels:
        return template
    return {**template, "metadata": {**metadata, "labels": {k: v for k, v in labels.items() if k != HASH_LABEL}}}


def is_recreating(deployment: Workload) -> bool:
    """Tell whether old pods go before new ones come."""
    return (deployment.spec.get("strategy") or {}).get("type") == "Recreate"


def revision_of(workload: Workload) -> int:
    """Return its revision, 0 if it has none."""
    text = workload.annotations.get(REVISION, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


# ------------------------------------------------------------------------------------------------ the decision


def decide_deployment(deployment: Workload, sets: ReplicaSetsOf, *, has_old_pods: bool) -> list[Step]:
    """Return the steps to take now; `has_old_pods`: pods of old replica sets still run."""
    is_paused = bool(deployment.spec.get("paused"))
    steps = _Steps(deployment, sets)
    if sets.new is not None:
        steps.describe_new(sets.new)
        if steps.found:
            return steps.found
    if is_paused or _is_being_scaled(deployment, sets):
        _scale(deployment, sets, steps)
    elif is_recreating(deployment):
        _recreate(deployment, sets, steps, has_old_pods=has_old_pods)
    else:
        _roll(deployment, sets, steps)
    if not steps.found and (is_paused or is_complete(deployment, deployment.status)):
        steps.found += [DeleteReplicaSet(one) for one in _beyond_history(deployment, sets.old)]
    return steps.found


def is_complete(deployment: Workload, status: Json) -> bool:
    """Tell whether all pods are new and available."""
    wanted = deployment.replicas
    counts = [number(status, field) for field in ("updatedReplicas", "replicas", "availableReplicas")]
    return counts == [wanted] * 3 and number(status, "observedGeneration") >= deployment.generation


class _Steps:
    """The steps found so far; each replica set is written once at most."""

    def __init__(self, deployment: Workload, sets: ReplicaSetsOf) -> None:
        self.found: list[Step] = []
        self._deployment = deployment
        self._sets = sets

    def scale(self, replica_set: Workload, replicas: int) -> bool:
        """Set its number of pods, and note the size of the deployment on it; True if its number changes."""
        document = replica_set.document()
        noted = scale_notes(self._deployment)
        known = document["metadata"].get("annotations") or {}
        before = replica_set.replicas
        if replicas == before and noted.items() <= known.items():
            return False
        document["spec"]["replicas"] = replicas
        document["metadata"]["annotations"] = {**known, **noted}
        self.found.append(ChangeReplicaSet(document, (before, replicas) if replicas != before else None))
        return replicas != before

    def create(self) -> None:
        """Make the new replica set."""
        replicas = new_set_replicas(self._deployment, self._sets.all, 0, is_recreating=is_recreating(self._deployment))
        self.found.append(CreateReplicaSet(new_replica_set(self._deployment, self._sets, replicas), replicas))

    def describe_new(self, new: Workload) -> None:
        """Keep annotations, revision and ``minReadySeconds`` of the new replica set right (DEPLOY-NEW)."""
        document = new.document()
        annotations = document["metadata"].get("annotations") or {}
        wanted = {**annotations, **copied_annotations(self._deployment)}
        revision = next_revision(self._sets)
        before = annotations.get(REVISION, "")
        if revision_of(new) < revision:
            wanted[REVISION] = str(revision)
            if before:
                wanted[REVISION_HISTORY] = _with_history(annotations.get(REVISION_HISTORY, ""), before)
        ready_seconds_min = number(self._deployment.spec, "minReadySeconds")
        if wanted == annotations and ready_seconds_min == number(new.spec, "minReadySeconds"):
            return
        document["metadata"]["annotations"] = wanted
        document["spec"]["minReadySeconds"] = ready_seconds_min
        self.found.append(ChangeReplicaSet(document, None))


def _with_history(history: str, revision: str) -> str:
    known = history.split(",") if history else []
    if revision in known:
        return history
    known.append(revision)
    while len(",".join(known)) > HISTORY_CHARACTERS_MAX:
        known.pop(0)
    return ",".join(known)


def _is_being_scaled(deployment: Workload, sets: ReplicaSetsOf) -> bool:
    """Whether an active replica set was made for another number of pods."""
    desired = str(deployment.replicas)
    return any(one.replicas > 0 and one.annotations.get(DESIRED, desired) != desired for one in sets.all)


def _scale(deployment: Workload, sets: ReplicaSetsOf, steps: _Steps) -> None:
    active = [one for one in sets.all if one.replicas > 0]
    if len(active) <= 1:
        only = active[0] if active else sets.new or max(sets.old, key=revision_of, default=None)
        if only is not None and only.replicas != deployment.replicas:
            steps.scale(only, deployment.replicas)
        return
    if is_saturated(deployment, sets.new):
        for one in sets.old:
            if one.replicas > 0:
                steps.scale(one, 0)
        return
    if is_recreating(deployment):
        return
    for one, replicas in proportional_sizes(deployment, active):
        steps.scale(one, replicas)


def _recreate(deployment: Workload, sets: ReplicaSetsOf, steps: _Steps, *, has_old_pods: bool) -> None:
    active = [one for one in sets.old if one.replicas > 0]
    for one in active:
        steps.scale(one, 0)
    if active or has_old_pods:
        return
    if sets.new is None:
        steps.create()
    else:
        steps.scale(sets.new, deployment.replicas)


def _roll(deployment: Workload, sets: ReplicaSetsOf, steps: _Steps) -> None:
    if sets.new is None:
        steps.create()
        return
    wanted = deployment.replicas
    if sets.new.replicas > wanted:
        replicas = wanted
    else:
        replicas = new_set_replicas(deployment, sets.all, sets.new.replicas, is_recreating=False)
    if steps.scale(sets.new, replicas):
        return
    _shrink_old(deployment, sets, sets.new, steps)


def _shrink_old(deployment: Workload, sets: ReplicaSetsOf, new: Workload, steps: _Steps) -> None:
    """Old pods that aren't available first, then as many as the new ones that are available allow."""
    available_min = deployment.replicas - max_unavailable(deployment)
    new_unavailable = new.replicas - new.counted("availableReplicas")
    room = sum_replicas(sets.all) - available_min - new_unavailable
    if room <= 0 or not sum_replicas(sets.old):
        return
    sizes = {one.name: one.replicas for one in sets.old}
    for one in sets.old:
        unhealthy = min(room, max(one.replicas - one.counted("availableReplicas"), 0))
        sizes[one.name] -= unhealthy
        room -= unhealthy
    spare = sum(one.counted("availableReplicas") for one in sets.all) - available_min
    for one in sets.old:
        healthy = max(min(spare, sizes[one.name]), 0)
        sizes[one.name] -= healthy
        spare -= healthy
    for one in sets.old:
        if sizes[one.name] != one.replicas:
            steps.scale(one, sizes[one.name])


def _beyond_history(deployment: Workload, old: Sequence[Workload]) -> list[Workload]:
    limit = number(deployment.spec, "revisionHistoryLimit", UNLIMITED)
    if limit == UNLIMITED:
        return []
    there = sorted((one for one in old if not one.is_deleting), key=lambda one: (revision_of(one), one.created))
    return [one for one in there[: max(len(there) - limit, 0)] if _is_empty(one)]


def _is_empty(replica_set: Workload) -> bool:
    counted = number(replica_set.status, "observedGeneration") >= replica_set.generation
    return counted and replica_set.replicas == 0 and replica_set.counted("replicas") == 0


# ------------------------------------------------------------------------------------------------ replica sets


def next_revision(sets: ReplicaSetsOf) -> int:
    """Return the revision that the new replica set has to have."""
    return max((revision_of(one) for one in sets.old), default=0) + 1


def scale_notes(deployment: Workload) -> dict[str, str]:
    """Return the annotations that tell a replica set for how many pods the deployment is."""
    wanted = deployment.replicas
    return {DESIRED: str(wanted), MAX: str(wanted + allowed_surge(deployment))}


def copied_annotations(deployment: Workload) -> Mapping[str, str]:
    """Return the annotations of the deployment that its replica sets have, too."""
    return {key: value for key, value in deployment.annotations.items() if key not in _NOT_COPIED}


def new_replica_set(deployment: Workload, sets: ReplicaSetsOf, replicas: int) -> Json:
    """Return the replica set of the deployment's template."""
    template = copy.deepcopy(deployment.spec.get("template") or {})
    name = template_hash(template, number(deployment.status, "collisionCount"))
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: name}
    selector = copy.deepcopy(deployment.spec.get("selector") or {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: name}
    annotations = {**copied_annotations(deployment), REVISION: str(next_revision(sets)), **scale_notes(deployment)}
    spec: Json = {"replicas": replicas, "selector": selector, "template": template}
    if deployment.spec.get("minReadySeconds"):
        spec["minReadySeconds"] = deployment.spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment.name}-{name}",
            "namespace": deployment.namespace,
            "labels": dict(metadata["labels"]),
            "annotations": annotations,
            "ownerReferences": [controller_reference(DEPLOYMENTS, deployment.name, deployment.uid)],
        },
        "spec": spec,
    }
