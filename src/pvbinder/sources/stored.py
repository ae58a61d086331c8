"""Objects as kube-apiserver stores them, under keys of etcd or of kine: protobuf for built-in kinds, JSON for others.

STORED-1  An object is the one that the API server would show: in the version that is stored (but definitions of custom
          resources in v1), empty fields left out, with the phase that an empty one stands for. Its resourceVersion is
          the revision of its key.
STORED-2  What can't be shown is counted and said, never guessed: encrypted values with their provider, kinds whose
          messages aren't known, keys of others than Kubernetes; the server's own records (ranges, its leases) silently.
STORED-3  A value that begins as an object and makes no sense is an error that names its key.
STORED-4  Objects of two clusters, under two prefixes, are refused unless one is chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pvbinder.model.json import Json
from pvbinder.server.objects.protobuf import MAGIC, ProtobufError, decode
from pvbinder.server.objects.schema.decode import as_written
from pvbinder.server.objects.schema.json_text import object_depth_within
from pvbinder.sources.definitions import STORED, in_v1
from pvbinder.sources.errors import DumpError, DumpFileError
from pvbinder.sources.etcd import StoredValue

ENCRYPTED: Final = b"k8s:enc:"
_PHASE_UNLESS_SET: Final = {("v1", "PersistentVolume"): "Pending", ("v1", "PersistentVolumeClaim"): "Pending"}
_INTERNAL: Final = frozenset({"RangeAllocation"})
_EXAMPLES_MAX: Final = 3


@dataclass(slots=True)
class StoredReader:
    """Makes objects of keys and values, and counts what it couldn't; `prefix` chooses among several clusters' keys."""

    name: str
    prefix: str | None = None
    found: int = 0
    _encrypted: Counter[tuple[str, str]] = field(default_factory=Counter)
    _unknown: Counter[tuple[str, str]] = field(default_factory=Counter)
    _others: int = 0
    _other_keys: list[str] = field(default_factory=list)
    _keys: dict[tuple[str, ...], str] = field(default_factory=dict)
    _decoder: msgspec.json.Decoder[Any] = field(default_factory=msgspec.json.Decoder)

    def objects(self, stored: Iterable[StoredValue]) -> Iterator[Json]:
        """Yield the objects among `stored` (STORED-1); when it is done, `notes` has what was left out."""
        wanted = "/" + self.prefix.strip("/") + "/" if self.prefix is not None else ""
        for one in stored:
            key = one.key.decode(errors="backslashreplace")
            if key.startswith(wanted) or ("/" + key).startswith(wanted):
                document = self._object(key, one)
                if document is not None:
                    self.found += 1
                    yield document
        if not self.found and not self._encrypted and not self._unknown:
            examples = f": {self._others} keys such as {self._other_keys[0]}" if self._other_keys else ""
            below = f" below {wanted}" if wanted else ""
            raise DumpError(f"{self.name} has no objects of Kubernetes{below}{examples}")

    def notes(self) -> Iterator[str]:
        """Say what was left out (STORED-2)."""
        for (resource, provider), count in sorted(self._encrypted.items()):
            yield f"{self.name}: {_counted(count, 'value')} of {resource} encrypted ({provider}), left out"
        for (api_version, kind), count in sorted(self._unknown.items()):
            what = f"{api_version or 'no apiVersion'} {kind or 'no kind'}"
            yield f"{self.name}: {_counted(count, 'object')} of {what} left out: its messages aren't known here"
        if self._others:
            examples = ", ".join(self._other_keys)
            yield f"{self.name}: {_counted(self._others, 'key')} left out, not of Kubernetes (such as {examples})"

    def _object(self, key: str, stored: StoredValue) -> Json | None:
        value = stored.value
        if value.startswith(MAGIC):
            document = self._of_protobuf(key, value)
        elif value.startswith(ENCRYPTED):
            provider = value[len(ENCRYPTED) :].partition(b":")[0].decode(errors="backslashreplace")
            self._encrypted[_resource(key), provider[:40]] += 1
            return None
        elif value[:1] == b"{":
            document = self._of_json(key, value)
        else:
            self._count_other(key)
            return None
        if document is None:
            return None
        metadata = document.get("metadata")
        if not isinstance(metadata, dict) or not metadata.get("name") or document["kind"] in _INTERNAL:
            return None
        self._check_only(key, document, metadata)
        metadata["resourceVersion"] = str(stored.revision)
        return document

    def _of_protobuf(self, key: str, value: bytes) -> Json | None:
        try:
            header, document = decode(value, "", "")
        except ProtobufError as error:
            raise DumpFileError(f"{self.name}: the value of {key} is damaged: {error.message}") from error
        if document is None:
            if header.get("kind") not in _INTERNAL:
                self._unknown[str(header.get("apiVersion", "")), str(header.get("kind", ""))] += 1
            return None
        return _with_phase(as_written(document))

    def _of_json(self, key: str, value: bytes) -> Json | None:
        try:
            document = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DumpFileError(f"{self.name}: the value of {key} is damaged: {error}") from error
        if not isinstance(document.get("kind"), str) or not isinstance(document.get("apiVersion"), str):
            self._count_other(key)
            return None
        if not object_depth_within(document):
            raise DumpFileError(f"{self.name}: the value of {key} is nested too deeply")
        return in_v1(document) if (document["apiVersion"], document["kind"]) == STORED else document

    def _count_other(self, key: str) -> None:
        if key.rpartition("/")[2] == "compact_rev_key":  # kube-apiserver's own
            return
        self._others += 1
        if len(self._other_keys) < _EXAMPLES_MAX:
            self._other_keys.append(key)

    def _check_only(self, key: str, document: Json, metadata: Json) -> None:
        """Refuse a second cluster's object of the same name (STORED-4)."""
        group = document["apiVersion"].rpartition("/")[0]
        identity = (group, document["kind"], str(metadata.get("namespace") or ""), str(metadata["name"]))
        there = self._keys.setdefault(identity, key)
        if there != key:
            kind = document["kind"]
            raise DumpFileError(
                f"{self.name} has the objects of two clusters: {kind} {metadata['name']} is at {there} and at {key}",
                hint="choose one with --etcd-prefix, such as " + _differing(there, key),
            )


def _with_phase(document: Json) -> Json:
    """Fill in the phase that the API server shows where none is stored: nobody has written the status yet."""
    phase = _PHASE_UNLESS_SET.get((document["apiVersion"], document["kind"]))
    if phase is not None:
        status = document.setdefault("status", {})
        status["phase"] = status.get("phase") or phase
    return document


def _resource(key: str) -> str:
    """What the keys of one kind have in common, without namespaces and names."""
    parts = key.strip("/").split("/")
    return "/".join(parts[1:3]) if len(parts) > 2 and "." in parts[1] else parts[min(1, len(parts) - 1)]


def _differing(one: str, other: str) -> str:
    """The beginning of `one` that `other` doesn't have."""
    parts, others = one.strip("/").split("/"), other.strip("/").split("/")
    while len(parts) > 1 and parts[-1] == others[-1]:
        parts, others = parts[:-1], others[:-1]
    return "/" + "/".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
