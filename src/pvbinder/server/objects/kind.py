"""What the server must know of a kind to serve it: one declaration, read by every handler.

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
NameRule: TypeAlias = Literal["subdomain", "label", "label-1035", "path-segment"]

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


def same(obj: Json) -> Json:
    """The default conversion between a kind and how it is stored."""
    return obj


def not_held(_obj: Json) -> bool:
    """The default of what keeps a deleted object beside its finalizers."""
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


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object that has its own path and its own rules, such as ``status``.

    `verbs` are the ones discovery lists. `prepare_update` puts back what a write to this path must not change.

    A subresource whose body is another kind (``scale``, ``binding``) names it in `body`: `read` makes that body of the
    stored object, and `take_in` puts a body that was sent (PUT, PATCH, or POST) into a copy of the object; both may
    raise ApiError. What `take_in` leaves then goes the way of an update of this subresource.
    `body_schema` is that kind's schema. `removes`: a POST deletes the object, as the ``deleteOptions`` in its body ask
    (``eviction``).
    `columns` are what a body has as a Table. `replicas_path` is the field of the object that a Scale's
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
    reach: Reach | None = None
    has_path: bool = False
    columns: tuple[Column, ...] = ()
    replicas_path: tuple[str, ...] = ()


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
    """A kind of object that the server stores and serves.

    The order of a write is GW-3: decode, `complete`, mutating admission, (update: revision check), `prepare_*`,
    `validate_*`, validating admission, store. Metadata (names, labels, finalizers, owner references, immutability) is
    validated for every kind alike by `server.kinds.validation.metadata`, before these hooks.
    """

    resource: Resource
    singular: str
    schema: str  # name of the OpenAPI schema: "io.k8s.api.core.v1.PersistentVolume"
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    put_creates: bool = False
    put_needs_revision: bool = False
    delete_returns_object: bool = True
    name_rule: NameRule = "subdomain"
    default: Callable[[Json], None] = nothing
    prepare_create: Callable[[Json, str], None] = nothing_at
    prepare_update: Callable[[Json, Json, str], None] = nothing_of_two
    validate_create: Callable[[Json], list[FieldError]] = no_errors
    validate_update: Callable[[Json, Json], list[FieldError]] = no_errors_of_two
    warnings: Callable[[Json, Json | None], list[str]] = no_warnings
    subresources: tuple[Subresource, ...] = ()
    columns: tuple[Column, ...] = ()
    # Labels of field selectors, metadata.* among them. The two of METADATA_FIELDS are what a kind without its own has;
    # a kind with its own refuses others in other words (`server.kinds.parts.fields`).
    selectable_fields: Mapping[str, FieldReader] = field(default_factory=lambda: METADATA_FIELDS)
    # generation: None keeps what a creator sends (only some kinds count); fields whose change bumps it, as
    # "spec" or "metadata.annotations". `generation_follows_rest`: whatever else changes but metadata bumps it, too.
    generation_at_create: int | None = None
    generation_follows: tuple[str, ...] = ()
    generation_follows_rest: bool = False
    grace_period: Callable[[Json, int | None], int] | None = None  # graceful deletion (DE-6): object, asked seconds
    # DE-7: `terminate` changes an object that DELETE marks but can't remove yet; a kind that has it gets no
    # deletionGracePeriodSeconds. `is_held` says that more than metadata.finalizers keeps it.
    terminate: Callable[[Json], None] | None = None
    is_held: Callable[[Json], bool] = not_held
    # A kind that is served from another's storage (events.k8s.io): its hooks see objects in the form in which they are
    # stored (`to_storage` of what came in), messages about them name the stored resource, and answers show
    # `from_storage` of what is there. Neither changes its argument.
    storage_version_of: Resource | None = None
    to_storage: Callable[[Json], Json] = same
    from_storage: Callable[[Json], Json] = same
    # What is put into the store of an object that was found valid, and what is read of one that was stored in a form
    # that isn't in use any more (None: nothing of the kind is).
    stored_form: Callable[[Json], Json] = same
    reread: Callable[[Json], Json] | None = None
    # Why no new objects are taken, and what every request for the kind is warned of; "" where that isn't so.
    refuses_new: str = ""
    is_custom: bool = False  # brought by a definition; what the reference tells of such kinds differs in places
    list_kind: str = ""  # "" for the kind with List behind it
    deprecation: str = ""
    # Other versions of the same objects, by apiVersion, whose fields have other paths than here.
    convertors: Mapping[str, Convertor] = field(default_factory=dict)

    @property
    def list_name(self) -> str:
        """What a list of the kind calls itself."""
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


EMPTY_METADATA = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


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
