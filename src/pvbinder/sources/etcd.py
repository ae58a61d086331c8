"""etcd's keys and values at one revision, from a snapshot or from the data file of an etcd that may be running.

ETCD-1  A key has the value of its newest revision, or of the newest up to `at_revision`; a deleted key isn't there.
ETCD-2  A revision that isn't written yet, or compacted already, is refused with those that there are.
ETCD-3  A snapshot (``etcdctl snapshot save``) is read only if its SHA-256 is right. A live file has no checksum: what
        is wrong in it shows where keys, revisions and values contradict each other.
ETCD-4  A file that etcd is writing is read as of one revision; the last writes, up to a tenth of a second, are in
        etcd's log only and not in the file. Nothing is locked, nothing written.
ETCD-5  Memory holds each key with its revision, and one leaf; values come one after the other.

StoredValue are revisions: eight bytes of the transaction, ``_``, eight bytes of the number within it, and ``t`` for a
deletion; the value of each is a message KeyValue (``mvccpb``), whose key is the one that people know.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, NamedTuple

from pvbinder.sources.bolt import BoltFile, Tree
from pvbinder.sources.bolt_pages import BoltError
from pvbinder.sources.content import SourceContent
from pvbinder.sources.errors import DumpFileError
from pvbinder.sources.revisions import Moment

_BLOCK: Final = 512  # bytes of which a database has a multiple
_HASH_BYTES: Final = 32
_CHUNK: Final = 1 << 20
_TRIES_MAX: Final = 5
_REVISION_BYTES: Final = 17
_KEYS: Final = b"key"
_META: Final = b"meta"


class StoredValue(NamedTuple):
    """A key, its value, and the revision that wrote it."""

    key: bytes
    value: bytes
    revision: int


class KeyValue(NamedTuple):
    """The parts of mvccpb.KeyValue that matter here."""

    key: bytes
    mod_revision: int
    value: bytes


def read_etcd(content: SourceContent, at_revision: int | None = None) -> Iterator[StoredValue]:
    """Yield the keys that there are at a revision, in the order of their revisions (ETCD-1).

    Raises `DumpFileError`, `BoltError` among them.
    """
    _check_hash(content)
    database = BoltFile(content)
    index, tree = _index(database, at_revision)
    wanted = sorted(index)
    left = len(wanted)

    def is_wanted(first: bytes, end: bytes | None) -> bool:
        at = bisect_left(wanted, first)
        return at < len(wanted) and (end is None or wanted[at] < end)

    for revision, value in database.items(_KEYS, tree, is_wanted):
        if (key := index.get(revision)) is None:
            continue
        found = _key_value(database.name, revision, value)
        if found.key != key:
            raise _damaged(database.name, revision, "has another key than before")
        left -= 1
        yield StoredValue(key, found.value, found.mod_revision)
    if left:
        raise BoltError(f"{database.name} lost {left} values while it was read", hint=_SNAPSHOT)


_SNAPSHOT: Final = "take a snapshot: etcdctl snapshot save FILE"


def _check_hash(content: SourceContent) -> None:
    """Refuse a snapshot whose content isn't what was saved (ETCD-3)."""
    size = content.size
    rest = size % _BLOCK
    if rest == 0:
        return
    if rest != _HASH_BYTES:
        raise BoltError(f"{content.name} is cut off: {rest} bytes are left over after its last block")
    digest = hashlib.sha256()
    at, end = 0, size - _HASH_BYTES
    while at < end and (part := content.at(at, min(_CHUNK, end - at))):
        digest.update(part)
        at += len(part)
    if digest.digest() != content.at(end, _HASH_BYTES):
        raise BoltError(f"{content.name} is damaged: the SHA-256 at the end of the snapshot is that of something else")


def _index(database: BoltFile, at_revision: int | None) -> tuple[dict[bytes, bytes], Tree]:
    """The key of each revision that counts (ETCD-1, ETCD-4)."""
    for _ in range(_TRIES_MAX):
        compacted = _compacted(database)
        tree = database.tree(_KEYS)
        if tree is None:
            raise DumpFileError(f"{database.name} is no database of etcd: it has no bucket of keys")
        newest = max((_main(key) for key, _ in tree.tail.items()), default=0)
        newest = max(newest, compacted.done)  # deletions that came last may be compacted away
        moment = Moment(database.name, compacted.done, newest, at_revision)
        until = (moment.revision + 1).to_bytes(8, "big")
        found: dict[bytes, bytes] = {}
        for revision, value in database.items(_KEYS, tree):
            if revision >= until:
                break
            key = _first_key(database.name, revision, value)
            if len(revision) == _REVISION_BYTES:
                found[key] = revision
            else:
                found.pop(key, None)
        is_same_file = database.newest() == tree.meta
        if is_same_file or (_compacted(database) == compacted and not compacted.is_running):
            return {revision: key for key, revision in found.items()}, tree
    raise BoltError(f"{database.name} was compacted again and again while it was read", hint=_SNAPSHOT)


class _Compacted(NamedTuple):
    done: int
    is_running: bool


def _compacted(database: BoltFile) -> _Compacted:
    """Which revisions are compacted: those that are, and those that are about to be, may be gone."""
    meta = database.bucket(_META)
    finished, scheduled = (
        int.from_bytes(meta.get(name, b"")[:8], "big") for name in (b"finishedCompactRev", b"scheduledCompactRev")
    )
    return _Compacted(max(finished, scheduled), scheduled > finished)


def _main(revision: bytes) -> int:
    return int.from_bytes(revision[:8], "big")


def _first_key(name: str, revision: bytes, value: bytes) -> bytes:
    """The key of a KeyValue, which comes first as etcd writes it."""
    if len(revision) not in (_REVISION_BYTES, _REVISION_BYTES + 1) or revision[8] != 0x5F:
        raise _damaged(name, revision, "is none")
    if len(value) > 2 and value[0] == 0x0A and value[1] < 0x80 and len(value) >= 2 + value[1]:
        return value[2 : 2 + value[1]]
    return _parsed(name, revision, value).key


def _key_value(name: str, revision: bytes, value: bytes) -> KeyValue:
    found = _parsed(name, revision, value)
    if found.mod_revision != _main(revision):
        raise _damaged(name, revision, f"has a value of revision {found.mod_revision}")
    return found


def _parsed(name: str, revision: bytes, data: bytes) -> KeyValue:
    key = value = b""
    mod_revision = at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            match tag:
                case 0x0A | 0x2A:
                    length, at = _varint(data, at)
                    part = data[at : at + length]
                    if len(part) < length:
                        raise _damaged(name, revision, "is cut off")
                    key, value = (part, value) if tag == 0x0A else (key, part)
                    at += length
                case 0x10 | 0x18 | 0x20 | 0x30:
                    number, at = _varint(data, at)
                    mod_revision = number if tag == 0x18 else mod_revision
                case _:
                    raise _damaged(name, revision, f"has a field that no KeyValue has ({tag})")
    except IndexError as error:
        raise _damaged(name, revision, "is cut off") from error
    return KeyValue(key, mod_revision, value)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return value, at
        shift += 7


def _damaged(name: str, revision: bytes, how: str) -> BoltError:
    return BoltError(f"{name} is damaged: revision {_main(revision)} {how}")
