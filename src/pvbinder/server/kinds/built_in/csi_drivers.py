"""CSIDriver and CSINode: which drivers there are, and where.

Rules: docs/rules/apiserver.md#5-storagek8sio
"""

from __future__ import annotations

from datetime import datetime

from pvbinder.model.resources import CSI_DRIVERS, CSI_NODES
from pvbinder.server.errors import FieldError, duplicate, invalid, required, unsupported
from pvbinder.server.kinds.parts.columns import AGE, NAME, UNSET, count_cell, field_cell, joined
from pvbinder.server.kinds.validation.internal_form import CSI_NODE_DRIVER, inner_form
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_qualified_name
from pvbinder.server.kinds.validation.volume_sources import validate_csi_driver_name
from pvbinder.server.objects.kind import Column, Json, ServedKind, drop_empty

_DRIVER_DEFAULTS = {
    "attachRequired": True,
    "podInfoOnMount": False,
    "storageCapacity": False,
    "fsGroupPolicy": "ReadWriteOnceWithFSType",
    "requiresRepublish": False,
    "seLinuxMount": False,
}
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_LIFECYCLES = ("Persistent", "Ephemeral")
_TOKENS_IN_ATTRIBUTES = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, "
    "set to true to prevent possible logging of tokens in volume attributes"
)


def default_csi_driver(driver: Json) -> None:
    """Fill in everything that a driver can say about itself."""
    spec = driver.get("spec")
    if spec is None:
        spec = driver["spec"] = {}
    for field, value in _DRIVER_DEFAULTS.items():
        if spec.get(field) is None:
            spec[field] = value
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]
    drop_empty(spec, "tokenRequests")
    for request in spec.get("tokenRequests") or ():
        request.setdefault("audience", "")


def validate_csi_driver(driver: Json) -> list[FieldError]:
    """Check a new driver."""
    return _validate_driver_spec(driver["spec"])


def validate_csi_driver_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed driver; how it attaches and which volumes it makes can't change."""
    spec, before = new["spec"], old["spec"]
    if spec == before:
        return []
    errors = _validate_driver_spec(spec)
    if spec.get("attachRequired") != before.get("attachRequired"):
        errors.append(invalid("spec.attachedRequired", spec.get("attachRequired"), IMMUTABLE))  # sic
    if spec.get("volumeLifecycleModes") != before.get("volumeLifecycleModes"):
        errors.append(invalid("spec.volumeLifecycleModes", spec.get("volumeLifecycleModes"), IMMUTABLE))
    return errors


def warn_of_csi_driver(new: Json, old: Json | None) -> list[str]:
    """Warn once of tokens that travel where they may be logged."""
    if old is not None and (old["spec"].get("tokenRequests") or not new["spec"].get("tokenRequests")):
        return []
    spec = new["spec"]
    return [_TOKENS_IN_ATTRIBUTES] if spec.get("tokenRequests") and spec.get(_IN_SECRETS) is None else []


_IN_SECRETS = "serviceAccountTokenInSecrets"


def _validate_driver_spec(spec: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    policy = spec.get("fsGroupPolicy")
    if policy not in _GROUP_POLICIES:
        errors.append(unsupported("spec.fsGroupPolicy", policy, _GROUP_POLICIES))
    requests: list[Json] = spec.get("tokenRequests") or []
    audiences: set[str] = set()
    for index, request in enumerate(requests):
        path = f"spec.tokenRequests[{index}]"
        audience = request.get("audience", "")
        if audience in audiences:
            errors.append(duplicate(f"{path}.audience", audience))
            continue
        audiences.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is not None and seconds < 600:
            why = "may not specify a duration less than 10 minutes"
            errors.append(invalid(f"{path}.expirationSeconds", seconds, why))
        if seconds is not None and seconds > 2**32:
            why = "may not specify a duration larger than 2^32 seconds"
            errors.append(invalid(f"{path}.expirationSeconds", seconds, why))
    errors += (
        unsupported("spec.volumeLifecycleModes", mode, _LIFECYCLES)
        for mode in spec.get("volumeLifecycleModes") or ()
        if mode not in _LIFECYCLES
    )
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        why = "must be greater than or equal to 10 seconds"
        errors.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, why))
    if spec.get(_IN_SECRETS) is not None and not requests:
        why = f"{_IN_SECRETS} is set but no tokenRequests are specified"
        errors.append(invalid(f"spec.{_IN_SECRETS}", spec[_IN_SECRETS], why))
    return errors


def default_csi_node(node: Json) -> None:
    """Show the list of drivers even when it is empty, as the reference does."""
    spec = node.get("spec")
    if spec is None:
        spec = node["spec"] = {}
    spec.setdefault("drivers", None)
    for driver in spec["drivers"] or ():
        driver.setdefault("topologyKeys", None)


def validate_csi_node(node: Json) -> list[FieldError]:
    """Check the drivers of a node."""
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, driver in enumerate(node["spec"].get("drivers") or ()):
        errors += _validate_node_driver(driver, f"spec.drivers[{index}]", names)
    return errors


def validate_csi_node_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed node; a driver's entry stays as it is, but for how many volumes it takes."""
    if new["spec"] == old["spec"]:
        return []
    errors = validate_csi_node(new)
    before = {driver.get("name"): driver for driver in old["spec"].get("drivers") or ()}
    for driver in new["spec"].get("drivers") or ():
        stored = before.get(driver.get("name"))
        if stored is not None and {**driver, "allocatable": None} != {**stored, "allocatable": None}:
            errors.append(invalid("spec.drivers", inner_form(CSI_NODE_DRIVER, driver), IMMUTABLE))
    return errors


def _validate_node_driver(driver: Json, path: str, names: set[str]) -> list[FieldError]:
    name, node_id = driver.get("name", ""), driver.get("nodeID", "")
    errors = validate_csi_driver_name(name, f"{path}.name")
    if not node_id:
        errors.append(required(f"{path}.nodeID"))
    elif len(node_id.encode()) > 256:
        errors.append(invalid(f"{path}.nodeID", node_id, "must be 256 characters or less"))
    count = (driver.get("allocatable") or {}).get("count")
    if count is not None and count < 0:
        errors.append(invalid(f"{path}.allocatable.count", count, "must be greater than or equal to 0"))
    if name in names:
        errors.append(duplicate(f"{path}.name", name))
    names.add(name)
    keys: set[str] = set()
    for key in driver.get("topologyKeys") or ():
        if not key:
            errors.append(required(path))
        if key in keys:
            errors.append(duplicate(path, key))
        keys.add(key)
        errors += (invalid(path, key, reason) for reason in check_qualified_name(key))
    return errors


def _tokens_cell(driver: Json, _now: datetime) -> object:
    requests = driver["spec"].get("tokenRequests")
    return UNSET if not requests else joined(request.get("audience", "") for request in requests)


def _modes_cell(driver: Json, _now: datetime) -> object:
    return joined(driver["spec"].get("volumeLifecycleModes") or ())


CSI_DRIVER = ServedKind(
    resource=CSI_DRIVERS,
    singular="csidriver",
    schema="io.k8s.api.storage.v1.CSIDriver",
    put_needs_revision=True,
    default=default_csi_driver,
    validate_create=validate_csi_driver,
    validate_update=validate_csi_driver_update,
    warnings=warn_of_csi_driver,
    generation_follows=("spec",),
    columns=(
        NAME,
        Column("AttachRequired", field_cell("spec", "attachRequired", default=True), "boolean"),
        Column("PodInfoOnMount", field_cell("spec", "podInfoOnMount", default=False), "boolean"),
        Column("StorageCapacity", field_cell("spec", "storageCapacity", default=False), "boolean"),
        Column("TokenRequests", _tokens_cell),
        Column("RequiresRepublish", field_cell("spec", "requiresRepublish", default=False), "boolean"),
        Column("Modes", _modes_cell),
        AGE,
    ),
)

CSI_NODE = ServedKind(
    resource=CSI_NODES,
    singular="csinode",
    schema="io.k8s.api.storage.v1.CSINode",
    put_needs_revision=True,
    default=default_csi_node,
    validate_create=validate_csi_node,
    validate_update=validate_csi_node_update,
    metadata_checks=("whole",),
    columns=(NAME, Column("Drivers", count_cell("spec", "drivers"), "integer"), AGE),
)
