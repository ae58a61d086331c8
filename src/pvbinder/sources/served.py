"""Which objects of a whole cluster can be used: those of kinds that the API server has, or that a definition brings.

SERVED-1  Of a database and of a collection, an object of another kind or version is left out and counted: nobody can
          take it out of the file. (In a manifest it is a mistake, for whoever uses it to refuse.)
SERVED-2  A definition counts wherever it is in the source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from pvbinder.model.json import Json
from pvbinder.server.kinds.registry import Registry

_Kind = tuple[str, str]  # apiVersion and kind


def served(name: str, found: Iterable[tuple[str, Json]], say: Callable[[str], None]) -> Iterator[tuple[str, Json]]:
    """Yield the objects that can be used, and say what was left out (SERVED-1); `name` is that of the whole."""
    registry = Registry()
    is_built_in: dict[_Kind, bool] = {}
    defined: set[_Kind] = set()
    waiting: list[tuple[str, Json]] = []
    for source, document in found:
        kind = str(document.get("apiVersion") or ""), document["kind"]
        if kind not in is_built_in:
            group, _, version = kind[0].rpartition("/")
            is_built_in[kind] = registry.of_kind(group, version, kind[1]) is not None
        if is_built_in[kind]:
            if kind[1] == "CustomResourceDefinition":
                defined.update(_defined(document))
            yield source, document
        else:
            waiting.append((source, document))
    strangers: Counter[_Kind] = Counter()
    for source, document in waiting:
        kind = str(document.get("apiVersion") or ""), document["kind"]
        if kind in defined:
            yield source, document
        else:
            strangers[kind] += 1
    for (api_version, kind_name), count in sorted(strangers.items()):
        objects = f"{count} object{'s' * (count != 1)}"
        say(f"{name}: {objects} of {api_version or 'no apiVersion'} {kind_name} left out: it isn't known here")


def _defined(definition: Json) -> Iterator[_Kind]:
    """Yield the kinds that a definition brings; none if it makes no sense, which whoever uses it will say."""
    spec = definition.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    versions = spec.get("versions") if isinstance(spec, dict) else None
    if isinstance(spec, dict) and isinstance(names, dict) and isinstance(versions, list):
        for version in versions:
            if isinstance(version, dict) and version.get("served"):
                yield f"{spec.get('group')}/{version.get('name')}", str(names.get("kind"))
