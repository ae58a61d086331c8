"""Lists and maps that are always written: the reference stores an empty one as null, and so shows it (EMPTY-1).

Its store keeps no difference between an empty list and none. Until an object is stored, the difference is there: checks
name it, and it counts for who owns the field.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pvbinder.server.objects.schema.types import CATALOGUE

# By field: whether it is a list or map that is always written, and the fields of its value, or of each element of it.
AlwaysWritten = dict[str, tuple[bool, Any]]


@cache
def always_written(schema: str) -> AlwaysWritten:
    """The lists and maps of a built-in type that are always written, and where they are."""
    return _Finder().fields(schema)


def write_empty_as_null(fields: AlwaysWritten, obj: Any) -> None:
    """Put null in the place of what is empty among `fields` of `obj`."""
    for name, (is_written, inside) in fields.items():
        value = obj.get(name)
        if is_written and value is not None and not value:
            obj[name] = None
        elif value and inside:
            for element in value if isinstance(value, list) else (value,):
                if element:
                    write_empty_as_null(inside, element)


class _Finder:
    def __init__(self) -> None:
        self._under_way: set[str] = set()

    def fields(self, schema: str) -> AlwaysWritten:
        if schema in self._under_way:  # a type that contains itself: such lists of it are left as they are
            return {}
        self._under_way.add(schema)
        found: AlwaysWritten = {}
        for name, field in CATALOGUE[schema].fields.items():
            is_written = field.zero == "write" and (field.is_list or field.is_map)
            inside = self.fields(field.reference) if field.reference and not field.is_map else {}
            if is_written or inside:
                found[name] = (is_written, inside)
        self._under_way.discard(schema)
        return found
