"""Tables and metadata-only forms of objects: what ``kubectl get`` asks for.

A Table has the kind's columns, a row for each object, and with each row nothing, the object's metadata or the object
itself, as ``includeObject`` asks.

Rules: docs/rules/apiserver.md#8-tables
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, TypeAlias, cast

from pvbinder.server.errors import bad_request
from pvbinder.server.kinds.parts.columns import NAME_AND_TIME
from pvbinder.server.objects.kind import Json, ServedKind

IncludeObject: TypeAlias = Literal["None", "Metadata", "Object"]

_GROUP = "meta.k8s.io"


def parse_include_object(text: str) -> IncludeObject:
    """Read the query parameter ``includeObject``; nothing means Metadata. Raises ApiError 400."""
    if text in ("None", "Metadata", "Object"):
        return cast("IncludeObject", text)
    if text == "":
        return "Metadata"
    why = f"includeObject: Invalid value: \"{text}\": must be 'Metadata', 'Object', 'None', or empty"
    raise bad_request(f"Unable to convert to Table as requested: {why}")


def render_table(
    kind: ServedKind,
    objects: Iterable[Json],
    list_metadata: Json,
    include_object: str,
    now: datetime,
    *,
    version: str = "v1",
    with_columns: bool = True,
) -> Json:
    """Make a Table of objects, which come in the form in which they are stored.

    `list_metadata` has the resourceVersion (and what else a list says about itself). Later events of a watch come
    without the definitions of columns. `version` may also be the older ``v1beta1``.
    """
    columns = kind.columns or NAME_AND_TIME
    definitions = [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in columns
        if column.is_defined
    ]
    rows = []
    for obj in objects:
        shown: Json | None = None
        if include_object == "Metadata":
            shown = partial_object_metadata(obj, version, kind.metadata_hides)
        elif include_object == "Object":
            shown = kind.from_storage(obj)
        row: Json = {"cells": [column.cell(obj, now) for column in columns]}
        if conditions := kind.row_conditions(obj):
            row["conditions"] = conditions
        row["object"] = shown
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": f"{_GROUP}/{version}",
        "metadata": list_metadata,
        "columnDefinitions": definitions if with_columns else [],
        "rows": rows,
    }


def partial_object_metadata(obj: Json, version: str = "v1", hides: tuple[str, ...] = ()) -> Json:
    """Return the metadata of an object as an object of its own, without the annotations that its kind `hides`."""
    metadata = _without(obj["metadata"], hides) if hides else obj["metadata"]
    return {"kind": "PartialObjectMetadata", "apiVersion": f"{_GROUP}/{version}", "metadata": metadata}


def _without(metadata: Json, hides: tuple[str, ...]) -> Json:
    left = {name: value for name, value in metadata.get("annotations", {}).items() if name not in hides}
    shown = {name: value for name, value in metadata.items() if name != "annotations"}
    return {**shown, "annotations": left} if left else shown


def partial_object_metadata_list(
    objects: Iterable[Json], list_metadata: Json, version: str = "v1", hides: tuple[str, ...] = ()
) -> Json:
    """Return the metadata of several objects as a list."""
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": f"{_GROUP}/{version}",
        "metadata": list_metadata,
        "items": [partial_object_metadata(obj, version, hides) for obj in objects],
    }
