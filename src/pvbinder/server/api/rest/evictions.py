"""POST of an Eviction: a pod is deleted, if the PodDisruptionBudget that it is under allows that.

EVICTION-1  A budget is never overdrawn: what an eviction takes of it, and the deletion, are written in the same turn.
EVICTION-2  A pod that hasn't started, has ended or is going already disrupts nothing, and needs no budget; one that
            isn't ready needs none where enough others are healthy, or the budget says so
            (``unhealthyPodEvictionPolicy``).
EVICTION-3  The pod learns why it goes: its condition ``DisruptionTarget``.
EVICTION-4  A dry run, asked for in the query or in the body, writes nothing.

A budget whose status nobody keeps allows nothing: the disruption controller does that, here as on a cluster.
"""

from __future__ import annotations

from asyncio import Future
from dataclasses import replace
from typing import Final

import msgspec

from pvbinder.model.resources import POD_DISRUPTION_BUDGETS
from pvbinder.model.selectors import LabelSelector, SelectorError
from pvbinder.server.api.rest.delete import Deletion
from pvbinder.server.api.rest.options import DeleteOptions, internal_error, read_delete_options
from pvbinder.server.api.rest.write_request import WriteRequest
from pvbinder.server.errors import ApiError, bad_request
from pvbinder.server.kinds.storage import Storage, encode, encoder_of
from pvbinder.server.objects.kind import Json, Subresource
from pvbinder.server.objects.managed_fields import record_update

SERVER: Final = "kube-apiserver"  # who owns what the server itself writes
RETRY_SECONDS: Final = 10
DISRUPTED_PODS_MAX: Final = 2_000
_FAR: Final = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
_VIOLATES: Final = "Cannot evict pod as it would violate the pod's disruption budget."


async def evict(write: WriteRequest, eviction: Json, sub: Subresource) -> None:
    """Delete the pod that the path names, or raise why it may not be."""
    name = write.attributes.name
    if (eviction.get("metadata") or {}).get("name", "") != name:
        raise bad_request("name in URL does not match name in Eviction object")
    options = _options(write, eviction)
    await write.judge_posted(eviction, sub)
    stored = write.find_there()
    pod = write.storage.decode(stored.data)
    budget = None if _disrupts_nothing(pod) else _budget_over(write, pod)
    taken = None if budget is None else take_from(budget, pod, write.now)
    deletion = Deletion(write.api, write.storage, options, write.user)
    deletion.check(write.namespace, name)
    pending: list[Future[None]] = []
    if not options.dry_run:  # EVICTION-4
        if budget is not None and taken is not None:
            pending.append(_store_status(write, budget, taken))
        marked = _with_condition(pod, write.now)
        pending.append(_store(write, write.storage, marked))
    # the pod's revision is another now: that it was the one asked for is checked already
    options = replace(options, resource_version=None)
    deletion = Deletion(write.api, write.storage, options, write.user)
    deletion.start(write.namespace, name)
    for durable in pending:
        await durable
    await deletion.settle()


def take_from(budget: Json, pod: Json, now: str) -> Json | None:
    """Return the budget with the eviction of `pod` taken from it, None if nothing needs to be taken.

    Raises ApiError 429 if it allows no disruption.
    """
    status: Json = budget.get("status") or {}
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    needs_no_budget = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow" or healthy >= desired > 0
    if needs_no_budget and not _is_ready(pod):  # EVICTION-2
        return None
    name = budget["metadata"]["name"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        why = f"The disruption budget {name} is still being processed by the server."
        raise _too_many(why, RETRY_SECONDS)
    if len(status.get("disruptedPods") or {}) > DISRUPTED_PODS_MAX:
        message = f'poddisruptionbudget.policy "{name}" is forbidden: {_FAR}'
        details = {"name": name, "group": "policy", "kind": "poddisruptionbudget"}
        raise ApiError(403, "Forbidden", message, details=details)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed <= 0:
        raise _too_many(_why_not(name, status))
    changed = {**status, "disruptionsAllowed": allowed - 1}
    changed["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod["metadata"]["name"]: now}
    if allowed == 1:
        changed["conditions"] = _with_insufficient_pods(status, now)
    return {**budget, "status": changed}


def _options(write: WriteRequest, eviction: Json) -> DeleteOptions:
    asked: Json = {"kind": "DeleteOptions", "apiVersion": "v1", **(eviction.get("deleteOptions") or {})}
    options = read_delete_options({}, encode(asked))
    return replace(options, dry_run=options.dry_run or write.options.dry_run)


def _disrupts_nothing(pod: Json) -> bool:
    phase = (pod.get("status") or {}).get("phase", "")
    return phase in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _budget_over(write: WriteRequest, pod: Json) -> Json | None:
    """Return the budget that selects `pod`; ApiError 500 if there are several."""
    labels: dict[str, str] = pod["metadata"].get("labels") or {}
    if not labels:
        return None
    budgets = [
        budget
        for budget in write.api.objects.latest(POD_DISRUPTION_BUDGETS, write.namespace)
        if _selects(budget, labels)
    ]
    if len(budgets) > 1:
        why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise internal_error(why)
    return budgets[0] if budgets else None


def _selects(budget: Json, labels: dict[str, str]) -> bool:
    selector = (budget.get("spec") or {}).get("selector")
    if selector is None:
        return False
    try:
        read = msgspec.convert(selector, LabelSelector)
        read.check()
    except (SelectorError, msgspec.ValidationError):
        return False  # as in the reference, a selector that can't be read selects nothing
    return read.matches(labels)


def _why_not(name: str, status: Json) -> str:
    """Say why a budget allows no disruption."""
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    conditions = status.get("conditions") or ()
    refused: Json = next(
        (one for one in conditions if one.get("type") == "DisruptionAllowed" and one.get("status") == "False"), {}
    )
    message = refused.get("message", "")
    if message and refused.get("reason") == "SyncFailed":
        return f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}"
    if healthy <= desired:
        return f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
    why = f" ({refused.get('reason', '')}): {message}" if message else ""
    return f"The disruption budget {name} does not allow evicting pods currently{why}"


def _too_many(why: str, retry_seconds: int = 0) -> ApiError:
    details: Json = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    headers = {}
    if retry_seconds:
        details["retryAfterSeconds"] = retry_seconds
        headers = {"Retry-After": str(retry_seconds)}
    return ApiError(429, "TooManyRequests", _VIOLATES, details=details, headers=headers)


def _with_insufficient_pods(status: Json, now: str) -> list[Json]:
    condition: Json = {
        "type": "DisruptionAllowed",
        "status": "False",
        "observedGeneration": status.get("observedGeneration", 0),
        "lastTransitionTime": now,
        "reason": "InsufficientPods",
        "message": "",
    }
    return _with(status.get("conditions") or [], condition)


def _with_condition(pod: Json, now: str) -> Json:
    """Return the pod with what it is told of its eviction (EVICTION-3)."""
    status: Json = pod.get("status") or {}
    observed = {"observedGeneration": pod["metadata"].get("generation", 0)} if status.get("observedGeneration") else {}
    condition: Json = {
        "type": "DisruptionTarget",
        **observed,
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    return {**pod, "status": {**status, "conditions": _with(status.get("conditions") or [], condition)}}


def _with(conditions: list[Json], new: Json) -> list[Json]:
    """Return the conditions with `new` in the place of the one of its type; its time stays if its status does."""
    for at, there in enumerate(conditions):
        if there.get("type") == new["type"]:
            kept = there.get("lastTransitionTime") if there.get("status") == new["status"] else None
            return [
                *conditions[:at],
                {**new, "lastTransitionTime": kept or new["lastTransitionTime"]},
                *conditions[at + 1 :],
            ]
    return [*conditions, new]


def _store_status(write: WriteRequest, before: Json, after: Json) -> Future[None]:
    resource = POD_DISRUPTION_BUDGETS
    storage = write.api.objects.storage(resource.group, resource.version, resource.plural)
    assert storage is not None, "budgets are served"
    changed = {**after, "metadata": dict(after["metadata"])}
    record_update(changed, before, manager=SERVER, subresource="status", time=write.now, kind=storage.kind)
    return _store(write, storage, changed)


def _store(write: WriteRequest, storage: Storage, obj: Json) -> Future[None]:
    metadata = obj["metadata"]
    key = storage.key(metadata.get("namespace", ""), metadata["name"])
    arranged = storage.arrange({**obj, "metadata": dict(metadata)})
    return write.api.objects.store.put(storage.store_name, key, encoder_of(arranged, None))[1]
