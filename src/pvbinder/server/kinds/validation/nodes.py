"""The rules of Node: taints, networks of its pods, amounts, addresses and features.

A changed node is checked like a new one and then once more as a change, so some faults are told twice, as by the
reference.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import re
from typing import Final

from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.addresses import has_two_of_a_family, validate_legacy_cidr, warn_of_cidr
from pvbinder.server.kinds.validation.internal_form import TAINT, InternalFields, inner_form
from pvbinder.server.kinds.validation.names import check_label_value, check_qualified_name
from pvbinder.server.kinds.validation.numbers import NOT_POSITIVE
from pvbinder.server.kinds.validation.resource_names import validate_amount
from pvbinder.server.objects.kind import Json

_ADDRESS: Final[InternalFields] = {"Type": ("type", ""), "Address": ("address", "")}
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_FEATURE_CHARACTERS_MAX: Final = 253
_IS_FEATURE: Final = re.compile(r"[A-Z][a-zA-Z0-9]*(/[a-zA-Z][a-zA-Z0-9]*)*").fullmatch
_NO_FEATURE: Final = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' "
    "(e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)


def validate_node(node: Json) -> list[FieldError]:
    """Check a new node."""
    status: Json = node["status"]
    errors = _validate_taints(node["spec"].get("taints") or []) + _validate_amounts(status)
    swap = ((status.get("nodeInfo") or {}).get("swap") or {}).get("capacity")
    if swap is not None and swap <= 0:
        errors.append(invalid("metadata.nodeSwapStatus.capacity", swap, NOT_POSITIVE))
    errors += _validate_features(status.get("declaredFeatures") or [])
    return errors + _validate_networks(node["spec"].get("podCIDRs") or [])


def validate_node_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed node; its provider and the networks of its pods are set once."""
    return validate_node(new) + validate_node_change(new, old)


def validate_node_change(new: Json, old: Json) -> list[FieldError]:
    """Check a change as such, which is all that a changed status is asked for."""
    spec, before, status = new["spec"], old["spec"], new["status"]
    errors = _validate_amounts(status) + _validate_features(status.get("declaredFeatures") or [])
    seen: list[Json] = []
    for index, address in enumerate(status.get("addresses") or ()):
        shown = inner_form(_ADDRESS, address)
        if shown in seen:
            errors.append(duplicate(f"status.addresses[{index}]", shown))
        seen.append(shown)
    errors += _validate_kept_networks(spec.get("podCIDRs") or [], before.get("podCIDRs") or [])
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        errors.append(forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid'))
    errors += _validate_taints(spec.get("taints") or [])
    if spec.get("externalID", "") != before.get("externalID", ""):
        errors.append(forbidden("spec.externalID", "may not be updated"))
    return errors


def warn_of_node(new: Json, _old: Json | None) -> list[str]:
    """Warn of an identifier that nobody uses, and of networks that are not written as they should be."""
    texts = []
    if new["spec"].get("externalID"):
        texts.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for index, network in enumerate(new["spec"].get("podCIDRs") or ()):
        texts += warn_of_cidr(f"spec.podCIDRs[{index}]", network)
    return texts


def _validate_taints(taints: list[Json]) -> list[FieldError]:
    """Check taints; the reference puts them under the metadata when it says where they are."""
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        path = f"metadata.taints[{index}]"
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        errors += (invalid(f"{path}.key", key, reason) for reason in check_qualified_name(key))
        if reasons := check_label_value(value):
            errors.append(invalid(f"{path}.value", value, ";".join(reasons)))
        if not effect:
            errors.append(required(f"{path}.effect"))
        elif effect not in _EFFECTS:
            errors.append(unsupported(f"{path}.effect", effect, _EFFECTS))
        if (key, effect) in seen:
            errors.append(duplicate(path, inner_form(TAINT, taint), "taints must be unique by key and effect pair"))
        seen.add((key, effect))
    return errors


def _validate_amounts(status: Json) -> list[FieldError]:
    return [
        error
        for field in ("capacity", "allocatable")
        for name, amount in (status.get(field) or {}).items()
        for error in validate_amount(name, amount, f"status.{field}.{name}")
    ]


def _validate_features(features: list[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    path = "status.declaredFeatures"
    for index, feature in enumerate(features):
        at = f"{path}[{index}]"
        if index and feature == features[index - 1]:
            errors.append(duplicate(at, feature))
        elif index and feature < features[index - 1]:
            errors.append(invalid(at, feature, "list must be sorted alphabetically"))
        if len(feature.encode()) > _FEATURE_CHARACTERS_MAX:
            why = f"must be no more than {_FEATURE_CHARACTERS_MAX} characters"
        else:
            why = "" if _IS_FEATURE(feature) else _NO_FEATURE
        if why:
            errors.append(invalid(at, feature, f'invalid feature name "{feature}": {why}'))
    return errors


def _validate_networks(networks: list[str]) -> list[FieldError]:
    path = "spec.podCIDRs"
    errors = [error for index, one in enumerate(networks) for error in validate_legacy_cidr(f"{path}[{index}]", one)]
    if len(networks) > 2 or (len(networks) == 2 and has_two_of_a_family(networks)):
        errors.append(invalid(path, networks, "may specify no more than one CIDR for each IP family"))
    return errors


def _validate_kept_networks(networks: list[str], before: list[str]) -> list[FieldError]:
    if not before:
        return []
    changes = 1
    if len(networks) == len(before):
        changes = sum(one != was for one, was in zip(networks, before, strict=True))
    why = 'node updates may not change podCIDR except from "" to valid'
    return [forbidden("spec.podCIDRs", why)] * changes
