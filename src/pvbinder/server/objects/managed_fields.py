"""The owners of fields: ``metadata.managedFields`` of every write.

MANAGED-1  A write that isn't an apply owns what it adds or changes, and takes it from everybody else; what it
           removes nobody owns any more. What the server fills in before that counts as the writer's, what admission
           adds later counts as nobody's.
MANAGED-2  A write that changes no field leaves ``managedFields`` as they are, times included (GW-6).
MANAGED-3  An object without ``managedFields`` that isn't new gets none until somebody applies it; a client can take
           them away for good with ``[{}]``.
MANAGED-4  Fields that a write can't reach (the status for a write to the object, the rest for one to the status) are
           nobody's by that write.
MANAGED-5  At most `UPDATERS_MAX` managers by update are kept apart; the oldest become ``ancient-changes``.
MANAGED-6  An entry that was made through another version of a kind has the paths of that version, and loses what has
           changed as that version shows it.
MANAGED-7  The cost follows what changed, not the size of the object: `typed.compare` walks only into differences, and
           an entry that loses nothing isn't touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from pvbinder.server.objects.field_sets import EMPTY, FieldSet, difference, is_valid, sorted_set, union
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.schema.convert import Conversion
from pvbinder.server.objects.schema.types import CATALOGUE
from pvbinder.server.objects.typed import Comparison, TypedError, compare

Operation: TypeAlias = Literal["Apply", "Update"]

UPDATERS_MAX: Final = 10
NOTHING: Final[Mapping[Any, Any]] = {}

# Paths that no manager owns: the server's own.
UNOWNED: Final[FieldSet] = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        ".": {},
        **{
            f"f:{name}": {}
            for name in ("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields",
                         "resourceVersion")
        },
    },
}  # fmt: skip

# The fields beside the spec that a write to the status of some kinds can't reach.
_STATUS_RESETS: Final[dict[str, FieldSet]] = {
    "pods": {"f:metadata": {"f:deletionTimestamp": {}, "f:ownerReferences": {}}},
    "volumeattachments": {"f:metadata": {}},
    "deployments": {"f:metadata": {"f:labels": {}}},
    "customresourcedefinitions": {"f:metadata": {}},
    "resourceclaims": {"f:metadata": {}},
    "validatingadmissionpolicies": {"f:metadata": {}},
    "flowschemas": {"f:metadata": {}},
    "prioritylevelconfigurations": {"f:metadata": {}},
}


class ManagerIdentifier(Struct, frozen=True, order=True):
    """The parts that tell one entry from another; `api_version` is "" for appliers."""

    name: str
    operation: Operation
    api_version: str
    subresource: str


class Entry(Struct, frozen=True):
    """The fields that one manager owns, in the form in which they are stored."""

    manager: ManagerIdentifier
    api_version: str
    time: str
    fields: FieldSet


def record_update(new: Json, old: Json | None, *, manager: str, subresource: str, time: str, kind: ServedKind) -> None:
    """Record the owners of fields in `new`, after a write that is no apply (MANAGED-1 to 7); `old`: None for a create.

    `time` is when, as it is stored. An object that doesn't follow its schema is left without a record.
    """
    metadata = new["metadata"]
    sent = metadata.pop("managedFields", None)
    stored: list[Json] = old["metadata"].get("managedFields", []) if old is not None else []
    entries = read_entries(stored)
    if sent is not None and sent != stored and not subresource:
        edited = read_entries(sent)
        if _is_reset(sent):
            entries, stored = {}, []
        elif edited and has_valid_fields(edited.values()):
            entries, stored = edited, sent
    if old is not None and not entries:
        return
    try:
        changes = compare(_comparable(old, kind), new, kind.schema)
    except TypedError:
        if stored:
            metadata["managedFields"] = stored
        return
    elsewhere = changes_elsewhere(old, new, entries, kind) if old is not None else {}
    after = _after_update(
        entries,
        changes,
        ManagerIdentifier(manager, "Update", kind.resource.api_version, subresource),
        time,
        kind,
        elsewhere,
    )
    if after is entries and stored is sent:
        write_entries(metadata, after.values())
    elif after is entries:
        if stored:
            metadata["managedFields"] = stored
    else:
        is_ours = stored is not sent and len(entries) == len(stored)  # in order, and nobody twice
        as_stored = dict(zip(entries, stored, strict=True)) if is_ours else NOTHING
        write_entries(metadata, after.values(), as_stored)


def read_entries(stored: Any) -> dict[ManagerIdentifier, Entry]:
    """The entries of a list of ``managedFields``; empty when it is damaged, as in the reference."""
    entries: dict[ManagerIdentifier, Entry] = {}
    if not isinstance(stored, list):
        return entries
    for raw in stored:
        if (
            not isinstance(raw, dict)
            or raw.get("fieldsType") != "FieldsV1"
            or raw.get("operation") not in ("Apply", "Update")
        ):
            return {}
        fields = raw.get("fieldsV1") or {}
        if not isinstance(fields, dict):
            return {}
        operation: Operation = raw["operation"]
        api_version = str(raw.get("apiVersion", ""))
        manager = ManagerIdentifier(
            str(raw.get("manager", "")),
            operation,
            "" if operation == "Apply" else api_version,
            str(raw.get("subresource", "")),
        )
        entries[manager] = Entry(manager, api_version, str(raw.get("time") or ""), fields)
    return entries


def is_readable(stored: Any) -> bool:
    """Whether a list of ``managedFields`` says who owns what: not every list that is well typed does."""
    entries = read_entries(stored)
    return bool(entries) and has_valid_fields(entries.values())


def has_valid_fields(entries: Iterable[Entry]) -> bool:
    """Whether all entries hold sets of paths; what a client sent may not."""
    return all(is_valid(entry.fields) for entry in entries)


def write_entries(
    metadata: Json, entries: Iterable[Entry], as_stored: Mapping[ManagerIdentifier, Json] = NOTHING
) -> None:
    """Store the entries in the order of the reference: appliers first, then by time and name.

    `as_stored` are entries as they stood in the object before: most come again as they were, or with another time.
    """
    ordered = sorted(
        entries,
        key=lambda e: (e.manager.operation, e.time, e.manager.name, e.api_version, e.manager.subresource),
    )
    if ordered:
        metadata["managedFields"] = [_stored(entry, as_stored.get(entry.manager)) for entry in ordered]
    else:
        metadata.pop("managedFields", None)


def unreachable_fields(kind: ServedKind, subresource: str) -> FieldSet:
    """The fields that a write to the object, or to a subresource, doesn't reach (MANAGED-4)."""
    if subresource == "status":
        if kind.schema in CATALOGUE.customs:
            fields = CATALOGUE[kind.schema].fields
            return {f"f:{name}": {} for name in ("metadata", *fields) if name != "status"}
        return {"f:spec": {}, **_STATUS_RESETS.get(kind.resource.plural, EMPTY)}
    if any(sub.name == "status" for sub in kind.subresources):
        return {"f:status": {}}
    return EMPTY


def without_unreachable(fields: FieldSet, unreachable: FieldSet) -> FieldSet:
    """The set without the unreachable fields and all that is below them."""
    result = fields
    for element, node in unreachable.items():
        inner = fields.get(element)
        if inner is None:
            continue
        rest = without_unreachable(inner, node) if node else {}
        result = {**result, element: rest}
        if not rest:
            del result[element]
    return result


def changes_elsewhere(
    old: Json, new: Json, entries: Mapping[ManagerIdentifier, Entry], kind: ServedKind
) -> dict[str, Comparison]:
    """Return the changes in other versions through which a manager owns fields, by apiVersion (MANAGED-6)."""
    found = {}
    for api_version, convertor in kind.convertors.items():
        if any(entry.api_version == api_version for entry in entries.values()):
            found[api_version] = compare(
                convertor.convert(_comparable(old, kind)), convertor.convert(new), convertor.schema
            )
    return found


def take_from(
    entries: dict[ManagerIdentifier, Entry],
    manager: ManagerIdentifier,
    lost: FieldSet,
    elsewhere: Mapping[str, Comparison] = NOTHING,
) -> dict[ManagerIdentifier, Entry]:
    """Take `lost` away from all entries but that of `manager`; return the entries that still own something.

    `elsewhere` has the changes in other versions, for entries with their paths.
    """
    left = entries
    for other, entry in entries.items():
        if other == manager:
            continue
        there = elsewhere.get(entry.api_version)
        rest = difference(entry.fields, lost if there is None else there.changed)
        if rest is not entry.fields:
            if left is entries:
                left = dict(entries)
            if rest:
                left[other] = Entry(other, entry.api_version, entry.time, rest)
            else:
                del left[other]
    return left


def empty_object(kind: ServedKind) -> Json:
    """Return an object of the kind before any field is set: the fields that are always there."""
    if kind.schema not in _empty_objects:
        _empty_objects[kind.schema] = Conversion().object({}, kind.schema)
    return _empty_objects[kind.schema]


_empty_objects: dict[str, Json] = {}


def _is_reset(sent: Any) -> bool:
    """Whether a client asks to forget all managers: one empty entry (MANAGED-3)."""
    return isinstance(sent, list) and len(sent) == 1 and isinstance(sent[0], dict) and not any(sent[0].values())


def _comparable(old: Json | None, kind: ServedKind) -> Json:
    """The stored object as a new one is compared with it."""
    if old is None:
        return empty_object(kind)
    if "managedFields" not in old["metadata"]:
        return old
    metadata = dict(old["metadata"])
    del metadata["managedFields"]
    return {**old, "metadata": metadata}


def _after_update(
    entries: dict[ManagerIdentifier, Entry],
    changes: Comparison,
    manager: ManagerIdentifier,
    time: str,
    kind: ServedKind,
    elsewhere: Mapping[str, Comparison],
) -> dict[ManagerIdentifier, Entry]:
    """The entries after a write with these changes; the same object when nothing changes (MANAGED-2)."""
    unreachable = unreachable_fields(kind, manager.subresource)
    taken = without_unreachable(union(changes.added, changes.modified), unreachable)
    removed = without_unreachable(changes.removed, unreachable)
    taken = difference(taken, UNOWNED)
    after = take_from(entries, manager, union(taken, removed), elsewhere)
    before = entries.get(manager)
    if not taken:
        if before is not None and removed:
            rest = difference(before.fields, removed)
            if rest is not before.fields:
                after = dict(after)
                if rest:
                    after[manager] = Entry(manager, before.api_version, before.time, rest)
                else:
                    del after[manager]
        return after
    owned = taken if before is None else union(difference(before.fields, removed), taken)
    return _capped({**after, manager: Entry(manager, kind.resource.api_version, time, owned)})


def _capped(entries: dict[ManagerIdentifier, Entry]) -> dict[ManagerIdentifier, Entry]:
    """Merge the oldest updaters when there are too many (MANAGED-5)."""
    if len(entries) <= UPDATERS_MAX:
        return entries
    updaters = sorted(
        (entry for entry in entries.values() if entry.manager.operation == "Update"),
        key=lambda entry: (entry.time, entry.manager),
    )
    surplus = len(updaters) - UPDATERS_MAX
    if surplus <= 0:
        return entries
    kept = dict(entries)
    first_of: dict[str, Entry] = {}
    for entry in updaters:
        if surplus <= 0:
            break
        first = first_of.get(entry.api_version)
        if first is None:
            first_of[entry.api_version] = entry
            continue
        bucket = ManagerIdentifier("ancient-changes", "Update", entry.api_version, "")
        if bucket not in kept:
            kept[bucket] = Entry(bucket, entry.api_version, first.time, first.fields)
            del kept[first.manager]
        kept[bucket] = Entry(bucket, entry.api_version, entry.time, union(entry.fields, kept[bucket].fields))
        if entry.manager != bucket:
            del kept[entry.manager]
        surplus -= 1
    return kept


def _stored(entry: Entry, before: Json | None) -> Json:
    if before is not None and before.get("fieldsV1") is entry.fields and before.get("apiVersion") == entry.api_version:
        return before if (before.get("time") or "") == entry.time else {**before, "time": entry.time}
    stored: Json = {
        "manager": entry.manager.name,
        "operation": entry.manager.operation,
        "apiVersion": entry.api_version,
    }
    if entry.time:
        stored["time"] = entry.time
    stored["fieldsType"] = "FieldsV1"
    stored["fieldsV1"] = sorted_set(entry.fields, EMPTY if before is None else before.get("fieldsV1") or EMPTY)
    if entry.manager.subresource:
        stored["subresource"] = entry.manager.subresource
    return stored
