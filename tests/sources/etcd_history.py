"""A history with everything in it that etcd's files can show, and what is there at each revision."""

from __future__ import annotations

from tests.sources.etcd_writer import Change, path_of, puts
from tests.sources.objects import DEFINITION, SHOP, WIDGET, Document, claim

LARGE: Document = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "large", "namespace": "shop"},
    "data": {"a": "x" * 50_000},  # more than a page
}
COMPACTED = 700
MANY = 900


def config_map(number: int, text: str) -> Document:
    """Return one of many objects."""
    metadata = {"name": f"m-{number:04}", "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text * 300}}


def history() -> list[Change]:
    """Return puts, changes of them, deletions, and objects that were deleted and made again."""
    changes = puts([*SHOP, DEFINITION, WIDGET, LARGE])
    changes += puts(config_map(number, "a") for number in range(MANY))
    changes += puts(config_map(number, "b") for number in range(0, MANY, 3))
    changes += [(path_of(config_map(number, "")), None) for number in range(0, MANY, 5)]
    changes += puts(config_map(number, "c") for number in range(0, MANY, 25))
    changes += puts([claim("waits"), claim("new")])
    changes += [(path_of(WIDGET), None), ("/registry/secrets/shop/s", b"k8s:enc:aescbc:v1:key1:\x01")]
    return changes


def state(changes: list[Change], until: int) -> dict[str, tuple[int, bytes]]:
    """Return the keys that there are at revision `until`, with the revision and the value of each."""
    there: dict[str, tuple[int, bytes]] = {}
    for revision, (key, value) in enumerate(changes, 2):
        if revision <= until:
            there.pop(key, None)
            if value is not None:
                there[key] = (revision, value)
    return there


HISTORY_REVISIONS = len(history()) + 1
