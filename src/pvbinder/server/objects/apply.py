"""Server-side apply: an object in a client's own words, laid over the stored one field by field.

APPLY-1  The applier owns exactly the fields that it gives. A field that it gave before and gives no more is removed,
         unless another manager owns it, too.
APPLY-2  A field that another manager owns with another value is a conflict (409, one cause each), unless forced: then
         the other loses it. The same value is shared.
APPLY-3  An object from before the first apply counts as written by ``before-first-apply``.
APPLY-4  kubectl may take over what its client-side apply wrote, as the last-applied annotation tells, and keeps that
         annotation up to date.
APPLY-5  An apply that changes nothing gives the stored object back, managed fields and times included (GW-6).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pvbinder.server.errors import ApiError, bad_request, entity_too_large
from pvbinder.server.objects.field_sets import FieldSet, difference, intersection, paths, shown_path, union
from pvbinder.server.objects.kind import Convertor, Json, ServedKind
from pvbinder.server.objects.managed_fields import (
    UNOWNED,
    Entry,
    ManagerIdentifier,
    changes_elsewhere,
    empty_object,
    has_valid_fields,
    read_entries,
    take_from,
    unreachable_fields,
    without_unreachable,
    write_entries,
)
from pvbinder.server.objects.schema import FieldValidation
from pvbinder.server.objects.schema.convert import Conversion, ConversionError
from pvbinder.server.objects.schema.decode import warnings_of
from pvbinder.server.objects.schema.json_text import VALUES_MAX, TooManyValuesError
from pvbinder.server.objects.typed import (
    Comparison,
    TypedError,
    check,
    compare,
    field_set,
    merge,
    remove,
    with_named_fields,
)

if TYPE_CHECKING:
    from pvbinder.server.objects.schema.yaml_text import YamlDocument

BEFORE_FIRST_APPLY: Final = "before-first-apply"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

_Entries = dict[ManagerIdentifier, Entry]


def apply(
    old: Json | None,
    patch: bytes,
    *,
    manager: str,
    force: bool,
    kind: ServedKind,
    now: str,
    subresource: str = "",
) -> Json:
    """Apply `patch` to the stored object, or to nothing; the object with its managed fields (APPLY-1 to 5).

    Raises ApiError: 400 for a malformed patch, 409 for conflicts, 500 (as the reference) for a patch that doesn't
    follow the schema.
    """
    return apply_value(
        old, _parse(patch).value, manager=manager, force=force, kind=kind, now=now, subresource=subresource
    )


def apply_with_warnings(
    old: Json | None,
    patch: bytes,
    field_validation: FieldValidation,
    *,
    manager: str,
    force: bool,
    kind: ServedKind,
    now: str,
    subresource: str = "",
) -> tuple[Json, list[str]]:
    """Return what `apply` does, and the warnings about keys that the patch has twice; the patch is read once."""
    document = _parse(patch)
    applied = apply_value(
        old, document.value, manager=manager, force=force, kind=kind, now=now, subresource=subresource
    )
    return applied, _check_strictly(document, field_validation)


def apply_value(
    old: Json | None,
    value: Any,
    *,
    manager: str,
    force: bool,
    kind: ServedKind,
    now: str,
    subresource: str = "",
) -> Json:
    """Apply a patch that is parsed already."""
    applied = _read(value, kind)
    live = _without_managed_fields(old) if old is not None else empty_object(kind)
    stored = old["metadata"].get("managedFields") if old is not None else None
    entries = read_entries(stored)
    if not has_valid_fields(entries.values()):
        raise ApiError(500, "", "failed to decode managed fields: error decoding manager from manager fields")
    if old is not None and not entries:
        entries = _before_first_apply(live, kind, now, subresource)
    application = _Application(live, applied, entries, ManagerIdentifier(manager, "Apply", "", subresource), now, kind)
    try:
        merged, after = (
            _with_takeover(application, force=force) if manager == "kubectl" else application.run(force=force)
        )
    except (TypedError, ConversionError) as error:
        raise ApiError(500, "", error.message) from error
    if merged == live and old is not None:
        if after == entries and stored is not None:
            return old
        merged = dict(live)
    merged["metadata"] = dict(merged.get("metadata", {}))
    write_entries(merged["metadata"], after.values())
    return merged


def _check_strictly(document: YamlDocument, field_validation: FieldValidation) -> list[str]:
    """The warnings, or the 400, about keys that an apply patch has twice."""
    strict = document.strict_error
    if not strict or field_validation == "Ignore":
        return []
    if field_validation == "Strict":
        raise bad_request(f"error strict decoding YAML: {strict}")
    return warnings_of([strict])


class _Application:
    """One apply of one object."""

    def __init__(
        self, live: Json, applied: Json, entries: _Entries, manager: ManagerIdentifier, now: str, kind: ServedKind
    ) -> None:
        self._live = live
        self.applied = applied
        self._entries = entries
        self._manager = manager
        self._now = now
        self.kind = kind

    def run(self, *, force: bool) -> tuple[Json, _Entries]:
        """Return the object after the apply, and the owners of its fields."""
        schema = self.kind.schema
        unreachable = unreachable_fields(self.kind, self._manager.subresource)
        owned = without_unreachable(field_set(self.applied, schema), unreachable)
        merged = merge(self._live, self.applied, schema)
        last = self._entries.get(self._manager)
        entries = {**self._entries, self._manager: self._entry(owned, last)}
        if last is not None and last.fields:
            merged = self._pruned(merged, entries, last.fields)
        changes = compare(self._live, merged, schema)  # in the applier's own words, as the reference
        is_new = last is None and merged != self._live
        merged = Conversion().object(merged, schema)
        changed = without_unreachable(union(changes.added, changes.modified), unreachable)
        removed = without_unreachable(changes.removed, unreachable)
        elsewhere = changes_elsewhere(self._live, merged, entries, self.kind)
        conflicts = self._conflicts(entries, changed, elsewhere)
        if conflicts and not force:
            raise ConflictsError(conflicts)
        entries = take_from(entries, self._manager, union(changed, removed), elsewhere)
        owned = difference(owned, UNOWNED)
        if owned:
            entries[self._manager] = self._entry(owned, last, changed=is_new or merged != self._live)
        else:
            entries.pop(self._manager, None)
        return merged, entries

    def live_annotation(self, name: str) -> str:
        """An annotation of the stored object."""
        annotations = self._live.get("metadata", {}).get("annotations") or {}
        return str(annotations.get(name, ""))

    def _entry(self, owned: FieldSet, last: Entry | None, *, changed: bool = True) -> Entry:
        time = self._now if changed else "" if last is None else last.time
        return Entry(self._manager, self.kind.resource.api_version, time, owned)

    def _pruned(self, merged: Json, entries: _Entries, last: FieldSet) -> Json:
        """Remove what this manager gave before, and nobody gives now (APPLY-1)."""
        schema = self.kind.schema
        kept: FieldSet = {}
        for entry in entries.values():
            if entry.api_version not in self.kind.convertors:
                kept = union(kept, with_named_fields(entry.fields, schema))
        gone = difference(with_named_fields(last, schema), kept)
        if not gone:
            return merged
        pruned = remove(merged, gone, schema)
        for api_version, convertor in self.kind.convertors.items():
            pruned = self._kept_elsewhere(merged, pruned, entries, api_version, convertor)
        return pruned

    def _kept_elsewhere(
        self, merged: Json, pruned: Json, entries: _Entries, api_version: str, convertor: Convertor
    ) -> Json:
        """Put back removed fields that a writer through another version owns (MANAGED-6)."""
        owned: FieldSet = {}
        for entry in entries.values():
            if entry.api_version == api_version:
                owned = union(owned, with_named_fields(entry.fields, convertor.schema))
        if not owned:
            return pruned
        there = convertor.convert(merged)
        gone = difference(compare(convertor.convert(pruned), there, convertor.schema).added, owned)
        return convertor.convert_back(remove(there, gone, convertor.schema))

    def _conflicts(
        self, entries: _Entries, changed: FieldSet, elsewhere: Mapping[str, Comparison]
    ) -> dict[ManagerIdentifier, FieldSet]:
        found = {}
        for manager, entry in entries.items():
            there = elsewhere.get(entry.api_version)
            touched = changed if there is None else union(there.added, there.modified)
            if manager != self._manager and (fields := intersection(entry.fields, touched)):
                found[manager] = fields
        return found


class ConflictsError(ApiError):
    """409 of an apply that would change fields of others; `conflicts` are the fields by manager."""

    def __init__(self, conflicts: dict[ManagerIdentifier, FieldSet]) -> None:
        self.conflicts = conflicts
        found = [(_shown(m), shown_path(path)) for m in sorted(conflicts) for path in paths(conflicts[m])]
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path} for who, path in found
        ]
        super().__init__(409, "Conflict", _conflict_message(found), details={"causes": causes})


def _conflict_message(found: list[tuple[str, str]]) -> str:
    if len(found) == 1:
        return f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}"
    lines = []
    for who in dict.fromkeys(who for who, _ in found):
        lines.append(f"conflicts with {who}:")
        lines += [f"- {path}" for other, path in found if other == who]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)


def _shown(manager: ManagerIdentifier) -> str:
    text = json.dumps(manager.name, ensure_ascii=False)
    if manager.subresource:
        text += f" with subresource {json.dumps(manager.subresource)}"
    return text if manager.operation == "Apply" else f"{text} using {manager.api_version}"


def _parse(patch: bytes) -> YamlDocument:
    from pvbinder.server.objects.schema.yaml_text import YamlTextError, YamlTooManyError, parse_yaml  # late: slow

    try:
        return parse_yaml(patch)
    except YamlTooManyError as error:
        raise entity_too_large(TooManyValuesError(VALUES_MAX).message) from error
    except YamlTextError as error:
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error.message}") from error


def _read(applied: Any, kind: ServedKind) -> Json:
    """Check that a parsed patch is one for this kind."""
    if applied is None:
        applied = {}
    if not isinstance(applied, dict):
        raise bad_request(
            f"error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
            f"{'array' if isinstance(applied, list) else 'string'} into Go value of type map[string]interface {{}}"
        )
    resource = kind.resource
    sent_version, sent_kind = (applied.get(name) for name in ("apiVersion", "kind"))
    if (sent_version, sent_kind) != (resource.api_version, resource.kind):
        raise bad_request(f"invalid object type: {_go_kind(sent_version, sent_kind)}")
    metadata = applied.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    namespace, name = (text if isinstance(text := metadata.get(part), str) else "" for part in ("namespace", "name"))
    named = f"{namespace}/{name}"
    gvk = f"{resource.group}/{resource.version}, Kind={resource.kind}"
    try:
        check(applied, kind.schema)
    except TypedError as error:
        raise ApiError(500, "", f"failed to create typed patch object ({named}; {gvk}): {error.message}") from error
    return applied


def _go_kind(api_version: object, kind: object) -> str:
    """Write a kind with its group and version as the reference does; what is no text is nothing."""
    version = api_version if isinstance(api_version, str) else ""
    group, slash, rest = version.partition("/")
    if not slash:
        group, rest = "", version
    elif "/" in rest:
        group, rest = "", ""
    return f"{group}/{rest}, Kind={kind if isinstance(kind, str) else ''}"


def _without_managed_fields(old: Json) -> Json:
    if "managedFields" not in old["metadata"]:
        return old
    return {**old, "metadata": {key: value for key, value in old["metadata"].items() if key != "managedFields"}}


def _before_first_apply(live: Json, kind: ServedKind, now: str, subresource: str) -> _Entries:
    """All fields belong to the manager before the first apply (APPLY-3)."""
    changes = compare(empty_object(kind), live, kind.schema)
    fields = difference(union(changes.added, changes.modified), UNOWNED)
    fields = without_unreachable(fields, unreachable_fields(kind, subresource))
    manager = ManagerIdentifier(BEFORE_FIRST_APPLY, "Update", kind.resource.api_version, subresource)
    return {manager: Entry(manager, manager.api_version, now, fields)} if fields else {}


def _with_takeover(application: _Application, *, force: bool) -> tuple[Json, _Entries]:
    """Apply as kubectl may (APPLY-4)."""
    try:
        merged, entries = application.run(force=force)
    except ConflictsError as error:
        allowed = _last_applied_fields(application)
        if allowed is None:
            raise
        remaining = {m: rest for m, fields in error.conflicts.items() if (rest := difference(fields, allowed))}
        if remaining:
            raise ConflictsError(remaining) from None
        merged, entries = application.run(force=True)
    annotations = merged.get("metadata", {}).get("annotations", {})
    if LAST_APPLIED in annotations:
        text = json.dumps(_last_applied(application.applied), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        annotations = {**annotations, LAST_APPLIED: text + "\n"}
        merged = {**merged, "metadata": {**merged["metadata"], "annotations": annotations}}
    return merged, entries


def _last_applied(applied: Json) -> Json:
    metadata = {key: value for key, value in applied.get("metadata", {}).items() if key != "managedFields"}
    if isinstance(annotations := metadata.get("annotations"), dict):
        annotations = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
        metadata["annotations"] = annotations
        if not annotations:
            del metadata["annotations"]
    return {**applied, "metadata": metadata}


def _last_applied_fields(application: _Application) -> FieldSet | None:
    """The fields that client-side apply has written, and its annotation; None without one that can be read."""
    text = application.live_annotation(LAST_APPLIED)
    if not text:
        return None
    try:
        written = json.loads(text)
        check(written, application.kind.schema)
        fields = field_set(written, application.kind.schema)
    except (ValueError, RecursionError, TypedError, AttributeError):
        return None
    return union(fields, {"f:metadata": {"f:annotations": {f"f:{LAST_APPLIED}": {}}}})
