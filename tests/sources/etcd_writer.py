"""etcd's databases for tests: a history of puts and deletions, as revisions in a file of bbolt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.protobuf_wire import field
from tests.sources.bolt_writer import BoltWriter, Items
from tests.sources.protobuf_writer import stored_form

Change = tuple[str, bytes | None]  # a key and its value; None deletes it


def revision(main: int, sub: int = 0) -> bytes:
    """A revision as it is stored."""
    return main.to_bytes(8, "big") + b"_" + sub.to_bytes(8, "big")


def key_value(key: str, value: bytes, main: int, version: int = 1) -> bytes:
    """A message KeyValue."""
    return field(1, key) + field(2, main) + field(3, main) + field(4, version) + field(5, value)


def key_bucket(history: Iterable[Change], first: int = 2) -> Items:
    """Return the bucket of keys after a history, one revision each change."""
    items: Items = {}
    for main, (key, value) in enumerate(history, first):
        if value is None:
            items[revision(main) + b"t"] = field(1, key)
        else:
            items[revision(main)] = key_value(key, value, main)
    return items


def etcd_file(
    history: Iterable[Change], *, compacted: int = 0, writer: BoltWriter | None = None, snapshot: bool = False
) -> bytes:
    """Return a database of etcd; as a snapshot it has its SHA-256 at the end."""
    meta: Items = {b"consistent_index": (99).to_bytes(8, "big")}
    if compacted:
        meta |= {name: revision(compacted) for name in (b"finishedCompactRev", b"scheduledCompactRev")}
    data = (writer or BoltWriter()).file({b"key": key_bucket(history), b"meta": meta, b"lease": {}})
    return data + hashlib.sha256(data).digest() if snapshot else data


def path_of(document: Mapping[str, Any], prefix: str = "/registry") -> str:
    """Return the key under which a built-in object is stored, near enough."""
    metadata = document["metadata"]
    return "/".join(
        (prefix, f"{document['kind'].lower()}s", *filter(None, (metadata.get("namespace"),)), metadata["name"])
    )


def puts(documents: Iterable[Mapping[str, Any]], prefix: str = "/registry") -> list[Change]:
    """Return the history that makes these objects, as kube-apiserver would encode each."""
    return [(path_of(each, prefix), stored_form(each)) for each in documents]


def written(path: Path, history: Iterable[Change], **options: Any) -> str:
    """Write a database and return its path."""
    path.write_bytes(etcd_file(history, **options))
    return str(path)
