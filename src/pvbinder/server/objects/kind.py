"""The declaration of a served kind, read by every handler.

KIND-1  Hooks get decoded JSON objects (``dict``) and change only their first argument, in place.
KIND-2  Hooks never wait, never look anything up and raise nothing: an object that breaks a rule gives `FieldError`s.
KIND-3  Hooks don't look at a clock: the time of the write is an argument, ``now``, as metadata shows times
        (``2026-01-31T12:00:00Z``).
KIND-4  ``default`` is idempotent: the default of a stored object changes nothing.

Rules that need to see other objects are admission (`server.api.admission`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError

Json: TypeAlias = dict[str, Any]
FieldReader: TypeAlias = Callable[[Json], str]
Reach: TypeAlias = Callable[[Json, Mapping[str, list[str]]], str]
NameRule: TypeAlias = Literal["subdomain", "label", "path-segment", "ip"]
# How often a changed object's metadata is looked at, as the reference does: "whole" as for a new object, or "change".
MetadataChecks: TypeAlias = tuple[Literal["whole", "change"], ...]
# What becomes of dependents when a DELETE says nothing: "never" also when it says something.
DependentsPolicy: TypeAlias = Literal["deleted", "orphaned", "never"]

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def nothing(_obj: Json) -> None:
    """The default of hooks that change an object."""


def nothing_at(_obj: Json, _now: str) -> None:
    """The default of hooks that change an object, knowing the time."""


def nothing_of_two(_new: Json, _old: Json, _now: str) -> None:
    """The default of hooks that change an object, seeing the stored one and knowing the time."""


def no_errors(_obj: Json) -> list[FieldError]:
    """The default of validation."""
    return []


def no_errors_of_two(_new: Json, _old: Json) -> list[FieldError]:
    """The default of the validation of an update."""
    return []


def no_warnings(_new: Json, _old: Json | None) -> list[str]:
    """The default of warnings."""
    return []


def no_conditions(_obj: Json) -> list[Json]:
    """The default conditions of a row."""
    return []


def same(obj: Json) -> Json:
    """The default conversion between a kind and how it is stored."""
    return obj


def not_held(_obj: Json) -> bool:
    """The default of `is_held`: only finalizers keep a deleted object."""
    return False


def metadata_name(obj: Json) -> str:
    """Read the field selector label ``metadata.name``."""
    return str(obj["metadata"].get("name", ""))


def metadata_namespace(obj: Json) -> str:
    """Read the field selector label ``metadata.namespace``."""
    return str(obj["metadata"].get("namespace", ""))


METADATA_FIELDS: Mapping[str, FieldReader] = {
    "metadata.name": metadata_name,
    "metadata.namespace": metadata_namespace,
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``."""

    name: str
    cell: Callable[[Json, datetime], object]  # the object and now give a str, int, float or bool
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0
    is_defined: bool = True  # False: a cell that the reference gives without saying what it is


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object that has its own path and its own rules, such as ``status``.

    `verbs` are the ones discovery lists. `prepare_update` puts back what a write to this path must not change.

    A subresource whose body is another kind (``scale``, ``binding``) names it in `body`: `read` makes that body of the
    stored object, and `take_in` puts a body that was sent (PUT, PATCH, or POST) into a copy of the object; both may
    raise ApiError. The result of `take_in` then goes the way of an update of this subresource. `body_schema` is that
    kind's schema. `removes`: a POST deletes the object, as the ``deleteOptions`` in its body ask (``eviction``).
    `is_direct`: a write of it goes past what an update records, the owners of fields and the generation (``binding``).
    `columns` are those of a body as a Table. `replicas_path` is the field of the object that a Scale's
    ``spec.replicas`` stands for; a body without it can't be applied.

    A subresource that leads to something else than the object, as ``log`` and ``proxy`` do, has `reach`: it gets the
    object and the query, and returns the text to answer with or raises ApiError. With `has_path`, a path may follow.
    """

    name: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    prepare_update: Callable[[Json, Json, str], None] = nothing_of_two
    validate_update: Callable[[Json, Json], list[FieldError]] = no_errors_of_two
    body: Resource | None = None
    body_schema: str = ""
    read: Callable[[Json], Json] = same
    take_in: Callable[[Json, Json, str], None] | None = None
    removes: bool = False
    is_direct: bool = False
    reach: Reach | None = None
    has_path: bool = False
    columns: tuple[Column, ...] = ()
    replicas_path: tuple[str, ...] = ()
    warnings: Callable[[Json, Json | None], list[str]] = no_warnings
    metadata_checks: MetadataChecks = ("change",)


@dataclass(frozen=True, slots=True)
class Convertor:
    """Another version of a kind's objects: `convert` makes an object of that version, `convert_back` one of the kind.

    Both leave their argument as it is. A writer through that version owns fields by its paths (`managed_fields`).
    """

    schema: str
    convert: Callable[[Json], Json]
    convert_back: Callable[[Json], Json]


@dataclass(frozen=True, slots=True)
class ServedKind:
    """A kind of object that the server stores and serves. Every field but the first three has a default.

    A write calls the hooks in this order (GW-3). The comment above each hook says when it is called, what it may
    change, and what it must not do; KIND-1 to KIND-4 hold for all of them. Rules of metadata are the same for every
    kind (`server.kinds.validation.metadata`).

    1. The body is decoded by `schema`; `to_storage` brings it into the stored form.
    2. `default` fills in fields that aren't set. It sees objects that haven't been validated.
    3. Mutating admission changes the new object (`server.api.admission`).
    4. `prepare_create` or `prepare_update` takes away the parts that this write may not set, such as the status.
    5. `validate_create` or `validate_update` returns the errors; any error refuses the write (422).
    6. `warnings` returns advice for the client; the write goes on.
    7. Validating admission looks at the result, and the object is stored.

    A write to a subresource has the same order with `prepare_update` and `validate_update` of the `Subresource`.
    """

    resource: Resource
    singular: str
    schema: str  # name of the OpenAPI schema: "io.k8s.api.core.v1.PersistentVolume"
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS

    # A PUT of a missing object creates it.
    put_creates: bool = False
    # A PUT without a resourceVersion is refused (422).
    put_needs_revision: bool = False
    # DELETE answers with the object; otherwise with a Status.
    delete_returns_object: bool = True
    # What a DELETE does with dependents (DE-5), and what it warns of when it doesn't say (`deletion_warning`).
    dependents: DependentsPolicy = "deleted"
    deletion_warning: str = ""
    # The form of names, beside the rules of metadata for every kind.
    name_rule: NameRule = "subdomain"
    # What the kind's own validation looks at besides what is looked at for every kind.
    metadata_checked_on_create: bool = True
    metadata_checks: MetadataChecks = ("change",)

    # Called for each object that was sent or patched, before all else. It may set fields that aren't set, and must
    # change nothing else. It is idempotent (KIND-4).
    default: Callable[[Json], None] = nothing

    # Called before validation of a create, with the time of the write. It may change the object: reset what a creator
    # can't set (status), and normalize. It must not refuse: that is `validate_create`.
    prepare_create: Callable[[Json, str], None] = nothing_at

    # Called before validation of an update, with the new object, the stored one and the time. It may change the new
    # object: put back what a write to the main resource can't change (status). It must not change the stored one.
    prepare_update: Callable[[Json, Json, str], None] = nothing_of_two

    # Called after `prepare_create`. It returns all errors, in the order of the reference, and must change nothing: the
    # object is stored as it was validated.
    validate_create: Callable[[Json], list[FieldError]] = no_errors

    # Called after `prepare_update`, with the new object and the stored one. It repeats the rules of a create that still
    # hold, and must change neither.
    validate_update: Callable[[Json, Json], list[FieldError]] = no_errors_of_two

    # Called after validation, with the new object and the stored one (None for a create). It returns texts for the
    # client (``Warning`` header) in the reference's words, and must change neither. It never refuses a write.
    warnings: Callable[[Json, Json | None], list[str]] = no_warnings

    subresources: tuple[Subresource, ...] = ()

    # Called for each row of a Table, with the object as it is served, and the time. A cell may be missing fields that
    # an older version didn't set. It must not change the object: the same one makes the other cells.
    columns: tuple[Column, ...] = ()
    row_conditions: Callable[[Json], list[Json]] = no_conditions  # of a row in a Table
    table_order: Callable[[Json], tuple[object, ...]] | None = None  # of a list's rows, if not that of the list

    # Readers of the labels that field selectors may name, metadata.* among them. A kind without its own has the two of
    # METADATA_FIELDS; one with its own refuses other labels in other words (`server.kinds.parts.fields`). They are
    # called for each object of a list or watch with a field selector, and must not change it.
    selectable_fields: Mapping[str, FieldReader] = field(default_factory=lambda: METADATA_FIELDS)
    not_selectable: str = "field label not supported: {label}"  # what is said of another label

    # metadata.generation: at a create set to `generation_at_create` (None keeps the sent one: only some kinds count);
    # at an update counted up when one of these fields changes, such as "spec" or "metadata.annotations";
    # with `generation_follows_rest` also when any other part but metadata changes.
    generation_at_create: int | None = None
    generation_follows: tuple[str, ...] = ()
    generation_follows_rest: bool = False

    # Called by a DELETE (DE-6), with the stored object and the seconds that were asked for. It returns the seconds that
    # the object is given; 0 removes it at once. A kind without it has no graceful deletion. It must not change the
    # object.
    grace_period: Callable[[Json, int | None], int] | None = None

    # Called by a DELETE of an object that can't be removed yet (DE-7), after the server has set its deletionTimestamp.
    # It may change the object, such as its phase. A kind that has it gets no deletionGracePeriodSeconds.
    terminate: Callable[[Json], None] | None = None

    # Called after each write to an object that is being deleted: whether more than metadata.finalizers keeps it. It
    # must not change the object.
    is_held: Callable[[Json], bool] = not_held

    # A kind that is served from the storage of another one (events.k8s.io). Its hooks see objects in the stored form:
    # `to_storage` is called with the decoded body, before `default`; `from_storage` with each stored object that is
    # answered. Both return a new object and must not change their argument. Messages name the stored resource.
    storage_version_of: Resource | None = None
    to_storage: Callable[[Json], Json] = same
    from_storage: Callable[[Json], Json] = same

    # `stored_form` is called with each valid object before it is stored, and returns the form that is stored. `reread`
    # is called with each stored object that is read, and returns it in the form of today; None where all objects have
    # that form. Both must not change their argument.
    stored_form: Callable[[Json], Json] = same
    reread: Callable[[Json], Json] | None = None

    refuses_new: str = ""  # the reason why no new objects are taken
    metadata_hides: tuple[str, ...] = ()  # annotations that stand for a field, and aren't shown with metadata alone
    is_custom: bool = False  # brought by a definition; messages of the reference about such kinds differ in places
    list_kind: str = ""  # "" for the kind with List behind it
    deprecation: str = ""  # the warning with each answer

    # Other versions of the same objects, by apiVersion, whose fields have other paths than here (`Convertor`).
    convertors: Mapping[str, Convertor] = field(default_factory=dict)

    @property
    def list_name(self) -> str:
        """The kind of a list of these objects."""
        return self.list_kind or f"{self.resource.kind}List"

    def subresource(self, name: str) -> Subresource | None:
        """Return the subresource called `name`, if this kind has it."""
        return next((sub for sub in self.subresources if sub.name == name), None)

    def complete(self, obj: Json) -> None:
        """Bring a decoded object into the form in which it is stored: defaults filled in, empty metadata left out."""
        metadata = obj.get("metadata")
        if metadata is None:
            obj["metadata"] = {}
        else:
            drop_empty(metadata, *EMPTY_METADATA)
        self.default(obj)

    def generation_after(self, new: Json, old: Json) -> int | None:
        """Return the ``metadata.generation`` of an update: the old one, or one more if what it counts has changed."""
        generation: int | None = old["metadata"].get("generation")
        for path in self.generation_follows:
            if _read(new, path) != _read(old, path):
                return (generation or 0) + 1
        if self.generation_follows_rest and _rest(new) != _rest(old):
            return (generation or 0) + 1
        return generation


METADATA_ORDER = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)
_NEVER_EMPTY = frozenset({"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"})
EMPTY_METADATA = tuple(name for name in METADATA_ORDER if name not in _NEVER_EMPTY)  # left out where it is empty


def drop_empty(obj: Json, *fields: str) -> None:
    """Remove those `fields` that hold an empty value, as the reference does not show them."""
    for name in fields:
        if name in obj and not obj[name]:
            del obj[name]


def _rest(obj: Json) -> Json:
    return {name: value for name, value in obj.items() if name != "metadata"}


def _read(obj: Json, path: str) -> object:
    value: Any = obj
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
