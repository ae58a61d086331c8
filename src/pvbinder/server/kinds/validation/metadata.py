"""The rules of metadata, alike for every kind (OM-1 to OM-8).

An update only looks again at what has changed: the rest was valid when it was stored.
"""

from __future__ import annotations

from typing import Any

from pvbinder.server.errors import FieldError, forbidden, invalid, required, shown, too_long
from pvbinder.server.kinds.validation.names import check_label_value, check_object_name, check_qualified_name
from pvbinder.server.objects.kind import Json, ServedKind

IMMUTABLE = "field is immutable"

_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_ANNOTATIONS_BYTES_MAX = 256 * 1024
_IMMUTABLE_FIELDS = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def validate_metadata_create(kind: ServedKind, obj: Json) -> list[FieldError]:
    """Check the metadata of a new object (OM-1 to OM-4, OM-7, OM-8)."""
    metadata: Json = obj["metadata"]
    errors: list[FieldError] = []
    generate_name = metadata.get("generateName")
    if generate_name:
        errors += (
            invalid("metadata.generateName", generate_name, reason)
            for reason in check_object_name(kind.name_rule, generate_name, prefix=True)
        )
    name = metadata.get("name")
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += (invalid("metadata.name", name, reason) for reason in check_object_name(kind.name_rule, name))
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
    errors += validate_labels(metadata.get("labels"), "metadata.labels")
    errors += validate_annotations(metadata.get("annotations"), "metadata.annotations")
    errors += _validate_owner_references(metadata.get("ownerReferences"))
    errors += _validate_finalizers(kind, metadata.get("finalizers"))
    return errors


def validate_metadata_update(kind: ServedKind, new: Json, old: Json) -> list[FieldError]:
    """Check the metadata of a changed object (OM-4 to OM-8).

    `new` must have gone through GW-7 (what an update can't change has been put back), so that what differs here was
    sent on purpose.
    """
    metadata: Json = new["metadata"]
    before: Json = old["metadata"]
    errors = [
        invalid(f"metadata.{field}", metadata.get(field), IMMUTABLE)
        for field in _IMMUTABLE_FIELDS
        if metadata.get(field) != before.get(field)
    ]
    labels = metadata.get("labels")
    if labels and labels != before.get("labels"):
        errors += validate_labels(labels, "metadata.labels")
    annotations = metadata.get("annotations")
    if annotations and annotations != before.get("annotations"):
        errors += validate_annotations(annotations, "metadata.annotations")
    owners = metadata.get("ownerReferences")
    if owners and owners != before.get("ownerReferences"):
        errors += _validate_owner_references(owners)
    finalizers = metadata.get("finalizers")
    if finalizers and finalizers != before.get("finalizers"):
        errors += _validate_finalizers(kind, finalizers)
        if before.get("deletionTimestamp"):
            errors += _refuse_new_finalizers(finalizers, before.get("finalizers") or [])
    return errors


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


def _validate_finalizers(kind: ServedKind, finalizers: list[str] | None) -> list[FieldError]:
    """Check the form of finalizers, then that they are standard or qualified (OM-4).

    The second rule is one of the built-in kinds: those of definitions, and definitions themselves, don't have it.
    """
    is_built_in = kind.schema.startswith("io.k8s.api.")
    errors: list[FieldError] = []
    for finalizer in finalizers or ():
        errors += (invalid("metadata.finalizers", finalizer, reason) for reason in check_qualified_name(finalizer))
    for index, finalizer in enumerate(finalizers or ()):
        if is_built_in and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(f"metadata.finalizers[{index}]", finalizer, why))
    if finalizers and "orphan" in finalizers and "foregroundDeletion" in finalizers:
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(invalid("metadata.finalizers", finalizers, why))
    return errors


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
    for owner in owners or ():
        path = "metadata.ownerReferences"
        api_version, kind = owner.get("apiVersion", ""), owner.get("kind", "")
        version = api_version.rpartition("/")[2]
        if not version:
            errors.append(invalid(f"{path}.apiVersion", api_version, "version must not be empty"))
        errors += (
            invalid(f"{path}.{field}", owner.get(field, ""), "must not be empty")
            for field in ("kind", "name", "uid")
            if not owner.get(field)
        )
        if kind == "Event" and api_version == "v1":
            errors.append(invalid(path, owner, f"{api_version}, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            shown_owner = f"{kind}/{owner.get('name', '')}"
            if controller is None:
                controller = shown_owner
            else:
                why = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {shown_owner}'
                )
                errors.append(invalid(path, owners, why))
    return errors
