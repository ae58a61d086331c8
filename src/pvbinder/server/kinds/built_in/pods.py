"""Pod: status rules, what can change, graceful deletion, binding to a node (DE-6).

Its neighbours: `pod_defaults`, `pod_columns`, `validation.pod_specs`. Its account, limits and quotas are admission;
what runs on a node is the kubelet's (`controllers.kubelet`).

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.model.resources import PODS, Resource
from pvbinder.rules.pod_amounts import qos_class
from pvbinder.server.errors import (
    FieldError,
    conflict,
    forbidden,
    invalid,
    required,
    shown,
    unsupported,
)
from pvbinder.server.kinds.built_in.pod_columns import POD_COLUMNS, pod_row_conditions
from pvbinder.server.kinds.built_in.pod_connections import OF_CONTAINERS
from pvbinder.server.kinds.built_in.pod_defaults import default_pod_spec, default_requests
from pvbinder.server.kinds.parts.status import keep_metadata
from pvbinder.server.kinds.validation.internal_form import diff_of_json
from pvbinder.server.kinds.validation.pod_placement import merge_label_keys
from pvbinder.server.kinds.validation.pod_specs import validate_pod_spec
from pvbinder.server.kinds.validation.pod_statuses import (
    keep_observed_generations,
    validate_pod_status,
    warn_of_pod_status,
)
from pvbinder.server.kinds.validation.pod_warnings import warn_of_new_pod
from pvbinder.server.objects.kind import METADATA_FIELDS, FieldReader, Json, ServedKind, Subresource, drop_empty

BINDING = Resource("", "v1", "Binding", "bindings", True)
EVICTION = Resource("policy", "v1", "Eviction", "evictions", True)

_POD_BINDING = Resource("", "v1", "Binding", "pods/binding", True)
_CHANGEABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_INT32_MAX = 2**31 - 1
_EMPTY_IN_STATUS = (
    "phase",
    "message",
    "reason",
    "nominatedNodeName",
    "hostIP",
    "hostIPs",
    "podIP",
    "podIPs",
    "conditions",
    "initContainerStatuses",
    "containerStatuses",
    "ephemeralContainerStatuses",
    "qosClass",
)
_STATUS_DEFAULTS: Json = {
    "name": "",
    "state": {},
    "lastState": {},
    "ready": False,
    "restartCount": 0,
    "image": "",
    "imageID": "",
}


def default_pod(pod: Json) -> None:
    """Fill in spec and status."""
    spec = pod.get("spec")
    if spec is None:
        spec = pod["spec"] = {}
    default_pod_spec(spec)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    default_requests(spec)
    status = pod.get("status")
    if status is None:
        status = pod["status"] = {}
    drop_empty(status, *_EMPTY_IN_STATUS)
    _settle_addresses(status)
    for condition in status.get("conditions") or ():
        condition.setdefault("lastProbeTime", None)
        condition.setdefault("lastTransitionTime", None)
        drop_empty(condition, "reason", "message", "observedGeneration")
    for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(field) or ():
            for name, value in _STATUS_DEFAULTS.items():
                if container.get(name) is None:
                    container[name] = {} if value == {} else value


def prepare_new_pod(pod: Json, _now: str) -> None:
    """Start pending, with the QoS class that its resources give it."""
    merge_label_keys(pod["spec"], pod["metadata"].get("labels") or {})
    if pod["spec"]["terminationGracePeriodSeconds"] < 0:
        pod["spec"]["terminationGracePeriodSeconds"] = 1
    status: Json = {"phase": "Pending", "qosClass": qos_class(pod["spec"])}
    if pod["spec"].get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
                "lastTransitionTime": None,
            }
        ]
    pod["status"] = status


def prepare_pod(new: Json, old: Json, _now: str) -> None:
    """Take the status from the stored object."""
    new["status"] = old["status"]


def prepare_pod_status(new: Json, old: Json, _now: str) -> None:
    """Take the spec and the owners from the stored object."""
    new["spec"] = old["spec"]
    owners = old["metadata"].get("ownerReferences")
    if owners is not None:
        new["metadata"]["ownerReferences"] = owners
    else:
        new["metadata"].pop("ownerReferences", None)
    if old["status"].get("qosClass"):
        new["status"].setdefault("qosClass", old["status"]["qosClass"])
    keep_observed_generations(new["status"], old["status"])


def prepare_ephemeral_containers(new: Json, old: Json, _now: str) -> None:
    """Take everything but the ephemeral containers from the stored object."""
    added = new["spec"].get("ephemeralContainers")
    kept = {name: value for name, value in old["spec"].items() if name != "ephemeralContainers"}
    new["spec"] = {**kept, **({"ephemeralContainers": added} if added else {})}
    new["status"] = old["status"]
    keep_metadata(new, old)


def prepare_resize(new: Json, old: Json, _now: str) -> None:
    """Take everything but the resources of containers from the stored object."""
    spec = dict(old["spec"])
    for field in ("containers", "initContainers"):
        resources = {each.get("name"): each.get("resources") or {} for each in new["spec"].get(field) or ()}
        if spec.get(field):
            spec[field] = [
                {**each, "resources": resources.get(each.get("name"), each.get("resources") or {})}
                for each in spec[field]
            ]
    new["spec"], new["status"] = spec, old["status"]
    keep_metadata(new, old)


def validate_ephemeral_containers(new: Json, old: Json) -> list[FieldError]:
    """Check a pod like a new one; ephemeral containers come, but never change nor go."""
    errors = validate_pod(new)
    now = {each.get("name"): each for each in new["spec"].get("ephemeralContainers") or ()}
    for before in old["spec"].get("ephemeralContainers") or ():
        name = before.get("name")
        if now.get(name) != before:
            what = "changed" if name in now else "removed"
            why = f"existing ephemeral containers {shown(name)} may not be {what}\n"
            errors.append(forbidden("spec.ephemeralContainers", why))
    return errors


def validate_resize(new: Json, old: Json) -> list[FieldError]:
    """Check new resources; the QoS class stays as it is."""
    errors = validate_pod(new)
    if qos_class(new["spec"]) != qos_class(old["spec"]):
        shown = (old.get("status") or {}).get("qosClass") or qos_class(old["spec"])
        errors.append(invalid("spec", shown, "Pod QOS Class may not change as a result of resizing"))
    return errors


def validate_new_pod(pod: Json) -> list[FieldError]:
    """Check a new pod."""
    errors = validate_pod(pod)
    spec: Json = pod["spec"]
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        why = "cannot be set until all schedulingGates have been cleared"
        errors.append(forbidden("spec.nodeName", why))
    return errors


def validate_pod(pod: Json) -> list[FieldError]:
    """Check a new or changed pod."""
    return validate_pod_spec(pod["spec"], "spec", pod["metadata"].get("name", ""))


def validate_pod_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed pod: images, deadline, tolerations and gates are about all that can change."""
    spec, before = new["spec"], old["spec"]
    if spec == before:
        return []
    errors = validate_pod(new)
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or ()) != len(before.get(field) or ()):
            kind = "containers" if field == "containers" else "init containers"
            return [*errors, forbidden(f"spec.{field}", f"pod updates may not add or remove {kind}")]
    errors += _check_deadline(spec, before)
    allowed = _with_allowed_changes(spec, before, errors)
    if allowed != before:
        errors.append(forbidden("spec", f"{_CHANGEABLE}\n{diff_of_json(_sorted(before), _sorted(allowed))}"))
    return errors


def grace_period(pod: Json, asked: int | None) -> int:
    """Return for how many seconds a deleted pod stays (DE-6)."""
    spec: Json = pod.get("spec") or {}
    seconds = asked if asked is not None else int(spec.get("terminationGracePeriodSeconds") or 0)
    if not spec.get("nodeName") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return 1 if seconds < 0 else seconds


def validate_binding(binding: Json) -> list[FieldError]:
    """Check that a binding names a node."""
    target: Json = binding.get("target") or {}
    errors: list[FieldError] = []
    if target.get("kind", "") not in ("", "Node"):
        errors.append(unsupported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors


def bind_pod(pod: Json, binding: Json, now: str) -> None:
    """Assign a pod to the node that a valid `binding` names, as the scheduler asks for it.

    Raises ApiError 409 if the pod is being deleted, has a node, or isn't to be scheduled yet.
    """
    name, node = pod["metadata"]["name"], binding["target"]["name"]
    if pod["metadata"].get("deletionTimestamp"):
        raise conflict(_POD_BINDING, name, f"pod {name} is being deleted, cannot be assigned to a host")
    if pod["spec"].get("nodeName"):
        raise conflict(_POD_BINDING, name, f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"')
    if pod["spec"].get("schedulingGates"):
        raise conflict(_POD_BINDING, name, f"pod {name} has non-empty .spec.schedulingGates")
    pod["spec"]["nodeName"] = node
    for field in ("annotations", "labels"):
        added = (binding.get("metadata") or {}).get(field)
        if added:
            pod["metadata"].setdefault(field, {}).update(added)
    conditions = [c for c in pod["status"].get("conditions") or [] if c.get("type") != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    pod["status"]["conditions"] = [*conditions, scheduled]


def _settle_addresses(status: Json) -> None:
    """Keep the one address and the list of addresses the same."""
    one, many = status.get("podIP"), status.get("podIPs")
    if many and not one:
        status["podIP"] = many[0].get("ip", "")
    elif one and (not many or many[0].get("ip") != one):
        status["podIPs"] = [{"ip": one}]


def _check_deadline(spec: Json, before: Json) -> list[FieldError]:
    """Let a deadline only come nearer."""
    path = "spec.activeDeadlineSeconds"
    new, old = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if new is not None:
        if not 0 <= new <= _INT32_MAX:
            return [invalid(path, new, f"must be between 0 and {_INT32_MAX}, inclusive")]
        if old is not None and old < new:
            return [invalid(path, new, "must be less than or equal to previous value")]
    elif old is not None:
        return [invalid(path, None, "must not update from a positive integer to nil value")]
    return []


def _with_allowed_changes(spec: Json, before: Json, errors: list[FieldError]) -> Json:
    """Return the new spec with the changes that are allowed taken back."""
    allowed = dict(spec)
    for field in ("containers", "initContainers"):
        if spec.get(field):
            allowed[field] = [
                {**new, "image": old.get("image", "")} for new, old in zip(spec[field], before[field], strict=True)
            ]
    _keep(allowed, before, "activeDeadlineSeconds")
    kept = {_identity(each) for each in spec.get("tolerations") or ()}
    if all(_identity(each) in kept for each in before.get("tolerations") or ()):
        _keep(allowed, before, "tolerations")
    else:
        errors.append(
            forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
        )
    if (before.get("terminationGracePeriodSeconds") or 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        _keep(allowed, before, "terminationGracePeriodSeconds")
    gates = [gate.get("name") for gate in spec.get("schedulingGates") or ()]
    gates_before = [gate.get("name") for gate in before.get("schedulingGates") or ()]
    if set(gates) <= set(gates_before):
        _keep(allowed, before, "schedulingGates")
        if gates_before:  # a pod that no scheduler has looked at yet can still be narrowed down
            _keep(allowed, before, "nodeSelector")
            _keep(allowed, before, "affinity")
    else:
        errors.append(forbidden("spec.schedulingGates", "only deletion is allowed, but found new scheduling gates"))
    return allowed


def _identity(toleration: Json) -> tuple[str, ...]:
    """Return what must not change in a toleration: all but for how long it holds."""
    return tuple(str(toleration.get(field, "")) for field in ("key", "operator", "value", "effect"))


def _keep(spec: Json, before: Json, field: str) -> None:
    if field in before:
        spec[field] = before[field]
    else:
        spec.pop(field, None)


def _sorted(spec: Json) -> Json:
    """Return a spec in the order in which it is shown, under the names of the API, not the reference's inner ones."""
    return {field: spec[field] for field in sorted(spec)}


def _reader(*path: str, default: str = "") -> FieldReader:
    def read(pod: Json) -> str:
        value: object = pod
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return default if value is None else str(value)

    return read


def _host_network(pod: Json) -> str:
    return "true" if (pod.get("spec") or {}).get("hostNetwork") else "false"


def _addresses(pod: Json) -> str:
    return ",".join(entry.get("ip", "") for entry in (pod.get("status") or {}).get("podIPs") or ())


BIND = Subresource("binding", verbs=("create",), body=BINDING, body_schema="io.k8s.api.core.v1.Binding", is_direct=True)
# The same, with the pod named in the body only; `server.api.rest.bindings` has both.
BINDING_KIND = ServedKind(resource=BINDING, singular="binding", schema="io.k8s.api.core.v1.Binding", verbs=("create",))

POD = ServedKind(
    resource=PODS,
    singular="pod",
    schema="io.k8s.api.core.v1.Pod",
    short_names=("po",),
    categories=("all",),
    default=default_pod,
    prepare_create=prepare_new_pod,
    prepare_update=prepare_pod,
    validate_create=validate_new_pod,
    validate_update=validate_pod_update,
    warnings=lambda new, old: warn_of_new_pod(new) if old is None else [],
    metadata_checks=("change", "whole"),
    subresources=(
        BIND,
        Subresource(
            "ephemeralcontainers",
            prepare_update=prepare_ephemeral_containers,
            validate_update=validate_ephemeral_containers,
            metadata_checks=("change", "whole"),
        ),
        Subresource(
            "eviction",
            verbs=("create",),
            body=EVICTION,
            body_schema="io.k8s.api.policy.v1.Eviction",
            removes=True,
        ),
        Subresource(
            "resize",
            prepare_update=prepare_resize,
            validate_update=validate_resize,
            metadata_checks=("change", "whole"),
        ),
        Subresource(
            "status",
            prepare_update=prepare_pod_status,
            validate_update=validate_pod_status,
            warnings=warn_of_pod_status,
        ),
        *OF_CONTAINERS,
    ),
    columns=POD_COLUMNS,
    row_conditions=pod_row_conditions,
    selectable_fields={
        **METADATA_FIELDS,
        "spec.nodeName": _reader("spec", "nodeName"),
        "spec.host": _reader("spec", "nodeName"),
        "spec.restartPolicy": _reader("spec", "restartPolicy"),
        "spec.schedulerName": _reader("spec", "schedulerName"),
        "spec.serviceAccountName": _reader("spec", "serviceAccountName"),
        "spec.hostNetwork": _host_network,
        "status.phase": _reader("status", "phase"),
        "status.podIP": _reader("status", "podIP"),
        "status.podIPs": _addresses,
        "status.nominatedNodeName": _reader("status", "nominatedNodeName"),
    },
    generation_at_create=1,
    generation_follows=("spec",),
    grace_period=grace_period,
)
