"""Declarations of plain kinds: stored, watched and checked, with nothing behind them; one row a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError
from pvbinder.server.kinds.parts.columns import AGE, NAME
from pvbinder.server.kinds.parts.scale import scale_of
from pvbinder.server.kinds.parts.status import STATUS, STATUS_ALONE, keep_status
from pvbinder.server.objects.kind import (
    METADATA_FIELDS,
    Column,
    DependentsPolicy,
    FieldReader,
    Json,
    MetadataChecks,
    NameRule,
    ServedKind,
    Subresource,
    no_errors,
    no_errors_of_two,
    no_warnings,
    nothing,
    nothing_at,
    nothing_of_two,
)


@dataclass(frozen=True, slots=True)
class Plain:
    """The parts in which a plain kind differs from others."""

    schema_package: str
    group: str
    kind: str
    plural: str
    version: str = "v1"
    namespaced: bool = False
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    keeps_metadata: bool = False  # when its status is written
    has_scale: bool = False
    counts: tuple[str, ...] = ()  # what its generation follows
    name_rule: NameRule = "subdomain"
    columns: tuple[Column, ...] = (NAME, AGE)
    default: Callable[[Json], None] | None = None
    prepare_create: Callable[[Json, str], None] | None = None
    returns_object: bool = False
    dependents: DependentsPolicy = "deleted"
    put_creates: bool = False
    needs_revision: bool = False
    validate_create: Callable[[Json], list[FieldError]] = no_errors
    validate_update: Callable[[Json, Json], list[FieldError]] = no_errors_of_two
    validate_status: Callable[[Json, Json], list[FieldError]] = no_errors_of_two
    metadata_checked_on_create: bool = True
    metadata_checks: MetadataChecks = ("change",)
    status_metadata_checks: MetadataChecks = ("change",)
    warnings: Callable[[Json, Json | None], list[str]] = no_warnings
    status_warnings: Callable[[Json, Json | None], list[str]] = no_warnings
    table_order: Callable[[Json], tuple[object, ...]] | None = None
    selectable_fields: Mapping[str, FieldReader] = field(default_factory=lambda: METADATA_FIELDS)
    not_selectable: str = "field label not supported: {label}"

    def declare(self) -> ServedKind:
        """Make the declaration."""
        scale: tuple[Subresource, ...] = (scale_of(),) if self.has_scale else ()
        status = replace(
            STATUS_ALONE if self.keeps_metadata else STATUS,
            validate_update=self.validate_status,
            warnings=self.status_warnings,
            metadata_checks=self.status_metadata_checks,
        )
        return ServedKind(
            resource=Resource(self.group, self.version, self.kind, self.plural, self.namespaced),
            singular=self.kind.lower(),
            schema=f"io.k8s.{self.schema_package}.{self.version}.{self.kind}",
            short_names=self.short_names,
            categories=self.categories,
            put_creates=self.put_creates,
            put_needs_revision=self.needs_revision,
            delete_returns_object=self.returns_object,
            dependents=self.dependents,
            name_rule=self.name_rule,
            default=self.default or nothing,
            prepare_create=self.prepare_create or self._without_status(),
            prepare_update=keep_status if self.has_status else nothing_of_two,
            validate_create=self.validate_create,
            validate_update=self.validate_update,
            metadata_checked_on_create=self.metadata_checked_on_create,
            metadata_checks=self.metadata_checks,
            warnings=self.warnings,
            subresources=(*scale, status) if self.has_status else scale,
            columns=self.columns,
            table_order=self.table_order,
            selectable_fields=self.selectable_fields,
            not_selectable=self.not_selectable,
            generation_at_create=1 if self.counts else None,
            generation_follows=self.counts,
        )

    def _without_status(self) -> Callable[[Json, str], None]:
        return _starting_with(self.default or nothing) if self.has_status else nothing_at


def _starting_with(default: Callable[[Json], None]) -> Callable[[Json, str], None]:
    """Make the hook that starts with a status as the defaults have it, whatever the creator sends."""

    def prepare(obj: Json, _now: str) -> None:
        obj["status"] = {}
        default(obj)

    return prepare


def fill_in(obj: Json, **values: object) -> None:
    """Fill in the fields that are missing."""
    for name, value in values.items():
        if obj.get(name) is None:
            obj[name] = value
