"""The file and line of each object in manifests, for reports that point at them.

PLACES-1  A line is where the object begins, its list item or document. A file that can't be read, or is larger than
          `PLACED_BYTES_MAX`, has places without lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from pvbinder.audit.finding import AuditSubject

PLACED_BYTES_MAX: Final = 8 * 1024 * 1024
_LEVELS_MAX: Final = 8  # lists within lists
_CLUSTER_WIDE: Final = frozenset(
    {"PersistentVolume", "StorageClass", "Node", "VolumeAttributesClass", "VolumeSnapshotContent", "VolumeAttachment"}
)


class SourcePlace(Struct, frozen=True):
    """A file, and a line of it from 1 on; 0 is no line in particular."""

    file: str
    line: int = 0


def places_in(contents: Iterable[tuple[str, bytes]]) -> dict[AuditSubject, SourcePlace]:
    """Return the place of each object in the files `contents` (name and content), the last one counts (PLACES-1)."""
    found: dict[AuditSubject, SourcePlace] = {}
    for file, content in contents:
        for subject, line in _subjects(content):
            found[subject] = SourcePlace(file, line)
    return found


def _subjects(content: bytes) -> Iterator[tuple[AuditSubject, int]]:
    import yaml

    if len(content) > PLACED_BYTES_MAX:
        return
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for root in yaml.compose_all(content, Loader=loader):
            yield from _in_node(root, "", 0)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return


def _in_node(node: Any, inherited: str, depth: int) -> Iterator[tuple[AuditSubject, int]]:
    import yaml

    if depth > _LEVELS_MAX:
        return
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _in_node(item, inherited, depth + 1)
    if not isinstance(node, yaml.MappingNode):
        return
    kind = _text(node, "kind") or inherited
    items = _value(node, "items")
    if kind.endswith("List") and isinstance(items, yaml.SequenceNode):
        yield from _in_node(items, kind.removesuffix("List"), depth + 1)
        return
    metadata = _value(node, "metadata")
    name = _text(metadata, "name")
    if kind and name:
        namespace = "" if kind in _CLUSTER_WIDE else _text(metadata, "namespace") or "default"
        yield AuditSubject(kind, namespace, name), node.start_mark.line + 1


def _value(node: Any, key: str) -> Any:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if getattr(name, "value", None) == key), None)


def _text(node: Any, key: str) -> str:
    value = getattr(_value(node, key), "value", "")
    return value if isinstance(value, str) else ""
