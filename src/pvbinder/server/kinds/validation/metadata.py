"""The rules of metadata, alike for every kind (OM-1 to OM-8).

METADATA-1  A new object's metadata is looked at by its kind, with the kind's rule of names; only if nothing is wrong
            with the object it is looked at as that of every kind is: a name must fit into a path.
METADATA-2  An update only looks again at what has changed: the rest was valid when it was stored. What is wrong is told
            as often as the reference looks at it: twice for every kind, and as its own validation does
            (`ServedKind.metadata_checks`).
"""

from __future__ import annotations

from typing import Any

from pvbinder.server.errors import FieldError, forbidden, invalid, required, shown, too_long
from pvbinder.server.kinds.validation.names import check_label_value, check_object_name, check_qualified_name
from pvbinder.server.objects.kind import Json, MetadataChecks, NameRule, ServedKind

IMMUTABLE = "field is immutable"

_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_ANNOTATIONS_BYTES_MAX = 256 * 1024
CONTROLLER_FAULTS_MAX = 10  # each shows all owners: a thousand of them would be a gigabyte of text
_RULED_FIELDS = ("labels", "annotations", "ownerReferences", "finalizers")
_IMMUTABLE_FIELDS = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_LOOKED_AT = _IMMUTABLE_FIELDS + _RULED_FIELDS


def validate_metadata_create(kind: ServedKind, obj: Json) -> list[FieldError]:
    """Check the metadata of a new object by its kind's rules (OM-1 to OM-4, OM-7, OM-8)."""
    if not kind.metadata_checked_on_create:
        return []
    return _validate_whole(kind, obj["metadata"], kind.name_rule) + _validate_kind_of_finalizers(kind, obj["metadata"])


def validate_metadata_of_every_kind(kind: ServedKind, obj: Json) -> list[FieldError]:
    """Check the metadata of an object that is right by its kind's rules (METADATA-1)."""
    return _validate_whole(kind, obj["metadata"], "path-segment")


def validate_metadata_update(
    kind: ServedKind, new: Json, old: Json, checks: MetadataChecks = ("change",)
) -> list[FieldError]:
    """Check the metadata of a changed object by its kind's rules (OM-4 to OM-8).

    `new` must have gone through GW-7 (what an update can't change has been put back), so that what differs here was
    sent on purpose.
    """
    if not _has_changed(new["metadata"], old["metadata"]):
        return []
    errors: list[FieldError] = []
    for check in checks:
        if check == "whole":
            errors += _validate_whole(kind, new["metadata"], kind.name_rule)
        else:
            errors += _validate_change(new["metadata"], old["metadata"])
        errors += _validate_kind_of_finalizers(kind, new["metadata"])
    return errors


def validate_metadata_update_of_every_kind(kind: ServedKind, new: Json, old: Json) -> list[FieldError]:
    """Check the metadata of a changed object as that of every kind is checked (METADATA-2)."""
    if not _has_changed(new["metadata"], old["metadata"]):
        return []
    whole = _validate_whole(kind, new["metadata"], "path-segment")
    return whole + _validate_change(new["metadata"], old["metadata"])


def _has_changed(metadata: Json, before: Json) -> bool:
    """Say whether something has changed that has rules (METADATA-2)."""
    return any(metadata.get(field) != before.get(field) for field in _LOOKED_AT)


def _validate_whole(kind: ServedKind, metadata: Json, name_rule: NameRule) -> list[FieldError]:
    errors: list[FieldError] = []
    generate_name = metadata.get("generateName")
    if generate_name:
        errors += (
            invalid("metadata.generateName", generate_name, reason)
            for reason in check_object_name(name_rule, generate_name, prefix=True)
        )
    name = metadata.get("name")
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += (invalid("metadata.name", name, reason) for reason in check_object_name(name_rule, name))
    namespace = metadata.get("namespace")
    if kind.resource.namespaced:
        if not namespace:
            errors.append(required("metadata.namespace"))
        else:
            errors += (
                invalid("metadata.namespace", namespace, reason) for reason in check_object_name("label", namespace)
            )
    elif namespace:
        errors.append(forbidden("metadata.namespace", "not allowed on this type"))
    generation = metadata.get("generation")
    if generation is not None and generation < 0:
        errors.append(invalid("metadata.generation", generation, "must be greater than or equal to 0"))
    errors += _validate_maps_and_owners(metadata)
    return errors + _validate_finalizers(metadata.get("finalizers"))


def _validate_change(metadata: Json, before: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    if before.get("deletionTimestamp"):
        errors += _refuse_new_finalizers(metadata.get("finalizers") or [], before.get("finalizers") or [])
    errors += (
        invalid(f"metadata.{field}", metadata.get(field), IMMUTABLE)
        for field in _IMMUTABLE_FIELDS
        if metadata.get(field) != before.get(field)
    )
    return errors + _validate_maps_and_owners(metadata)


def _validate_maps_and_owners(metadata: Json) -> list[FieldError]:
    errors = validate_labels(metadata.get("labels"), "metadata.labels")
    errors += validate_annotations(metadata.get("annotations"), "metadata.annotations")
    return errors + _validate_owner_references(metadata.get("ownerReferences"))


def validate_labels(labels: Json | None, path: str) -> list[FieldError]:
    """Check keys and values of labels (OM-7)."""
    errors: list[FieldError] = []
    for key, value in (labels or {}).items():
        errors += (invalid(path, key, reason) for reason in check_qualified_name(key))
        errors += (invalid(path, value, reason) for reason in check_label_value(value))
    return errors


def validate_annotations(annotations: Json | None, path: str) -> list[FieldError]:
    """Check keys and the whole size of annotations (OM-7)."""
    if not annotations:
        return []
    errors: list[FieldError] = []
    size = 0
    for key, value in annotations.items():
        errors += (invalid(path, key, reason) for reason in check_qualified_name(key.lower()))
        size += len(key.encode()) + len(value.encode())
    if size > _ANNOTATIONS_BYTES_MAX:
        errors.append(too_long(path, _ANNOTATIONS_BYTES_MAX))
    return errors


def _validate_finalizers(finalizers: list[str] | None) -> list[FieldError]:
    """Check the form of finalizers (OM-4)."""
    errors: list[FieldError] = []
    for finalizer in finalizers or ():
        errors += (invalid("metadata.finalizers", finalizer, reason) for reason in check_qualified_name(finalizer))
    if finalizers and "orphan" in finalizers and "foregroundDeletion" in finalizers:
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(invalid("metadata.finalizers", finalizers, why))
    return errors


def _validate_kind_of_finalizers(kind: ServedKind, metadata: Json) -> list[FieldError]:
    """Check that finalizers are standard or qualified (OM-4); those of definitions needn't be, nor theirs."""
    if not kind.schema.startswith("io.k8s.api.") or kind.resource.group == "admissionregistration.k8s.io":
        return []
    why = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        invalid(f"metadata.finalizers[{index}]", finalizer, why)
        for index, finalizer in enumerate(metadata.get("finalizers") or ())
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS
    ]


def _refuse_new_finalizers(new: list[str], old: list[str]) -> list[FieldError]:
    """Refuse new finalizers on an object that is being deleted (OM-5)."""
    added = sorted(set(new) - set(old))
    if not added:
        return []
    texts = ", ".join(shown(finalizer) for finalizer in added)
    why = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{texts}}}"
    return [forbidden("metadata.finalizers", why)]


def _validate_owner_references(owners: list[Any] | None) -> list[FieldError]:
    """OM-8; the paths have no index, as in the reference."""
    errors: list[FieldError] = []
    controller: str | None = None
    faults_left = CONTROLLER_FAULTS_MAX
    path = "metadata.ownerReferences"
    for owner in owners or ():
        api_version, kind = owner.get("apiVersion") or "", owner.get("kind") or ""
        group, _, version = ("", "", api_version) if "/" not in api_version else api_version.partition("/")
        if not version or "/" in version:
            version = ""
            errors.append(invalid(f"{path}.apiVersion", api_version, "version must not be empty"))
        errors += (
            invalid(f"{path}.{field}", owner.get(field) or "", "must not be empty")
            for field in ("kind", "name", "uid")
            if not owner.get(field)
        )
        if (group, version, kind) == ("", "v1", "Event"):
            errors.append(invalid(path, _in_order(owner), "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            shown_owner = f"{kind}/{owner.get('name') or ''}"
            if controller is None:
                controller = shown_owner
            elif faults_left:
                faults_left -= 1
                why = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {shown_owner}'
                )
                errors.append(invalid(path, [_in_order(one) for one in owners or ()], why))
    return errors


def _in_order(owner: Json) -> Json:
    """Return an owner reference with its fields in the reference's order, as messages show it."""
    shown_always = {field: owner.get(field) or "" for field in ("apiVersion", "kind", "name", "uid")}
    flags = ("controller", "blockOwnerDeletion")
    return shown_always | {field: owner[field] for field in flags if owner.get(field) is not None}
