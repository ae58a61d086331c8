"""What the server must know of a kind to serve it: one declaration, read by every handler.

Hooks get decoded JSON objects (``dict``) and change only their first argument, in place. They never wait, never look
anything up and raise nothing: an object that breaks a rule gives `FieldError`s. Rules that need to see other objects
are admission (`server.admission`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError

Json: TypeAlias = dict[str, Any]


def nothing(_obj: Json) -> None:
    """The default of hooks that change an object."""


def nothing_of_two(_new: Json, _old: Json) -> None:
    """The default of hooks that change an object, seeing the stored one."""


def no_errors(_obj: Json) -> list[FieldError]:
    """The default of validation."""
    return []


def no_errors_of_two(_new: Json, _old: Json) -> list[FieldError]:
    """The default of the validation of an update."""
    return []


def no_warnings(_new: Json, _old: Json | None) -> list[str]:
    """The default of warnings."""
    return []


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get`` (apiserver.md section 8)."""

    name: str
    cell: Callable[[Json, datetime], object]  # the object and now give a str, int or bool
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object that has its own path and its own rules, such as ``status``.

    `verbs` are the ones discovery lists. `prepare_update` puts back what a write to this path must not change.
    """

    name: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    prepare_update: Callable[[Json, Json], None] = nothing_of_two
    validate_update: Callable[[Json, Json], list[FieldError]] = no_errors_of_two


@dataclass(frozen=True, slots=True)
class ServedKind:
    """A kind of object that the server stores and serves.

    The order of a write is GW-3: decode, `default`, mutating admission, (update: revision check), `prepare_*`,
    `validate_*`, validating admission, store. Metadata (names, labels, finalizers, owner references, immutability) is
    validated for every kind alike by `server.validation.metadata`, beside these hooks.
    """

    resource: Resource
    singular: str
    schema: str  # name of the OpenAPI schema: "io.k8s.api.core.v1.PersistentVolume"
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    put_creates: bool = False
    put_needs_revision: bool = False
    delete_returns_object: bool = True
    name_rule: str = "subdomain"  # how names are validated: "subdomain", "label", "path-segment"
    default: Callable[[Json], None] = nothing
    prepare_create: Callable[[Json], None] = nothing
    prepare_update: Callable[[Json, Json], None] = nothing_of_two
    validate_create: Callable[[Json], list[FieldError]] = no_errors
    validate_update: Callable[[Json, Json], list[FieldError]] = no_errors_of_two
    warnings: Callable[[Json, Json | None], list[str]] = no_warnings
    subresources: tuple[Subresource, ...] = ()
    columns: tuple[Column, ...] = ()
    selectable_fields: Mapping[str, Callable[[Json], str]] = field(default_factory=dict)  # beside metadata.*
    generation_follows: tuple[str, ...] = ()  # top-level fields whose change bumps metadata.generation
    grace_period: Callable[[Json, int | None], int] | None = None  # graceful deletion (DE-6): object, asked seconds
    storage_version_of: Resource | None = None  # served from another kind's storage (events.k8s.io)
