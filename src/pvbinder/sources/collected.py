"""What tools have collected of a cluster: a Velero backup, an OpenShift must-gather, a Troubleshoot support bundle.

COLLECTED-1  Objects are read where the tool puts objects; all other files are named, never guessed at: their number and
             the first of them.
COLLECTED-2  An object that is in several files is given once: with its greatest resourceVersion.
COLLECTED-3  A file where objects should be, and that can't be read, is an error that names it.
COLLECTED-4  It makes no difference whether the files are in a directory or in an archive.

| tool | places |
|---|---|
| Velero | ``resources/RESOURCE[.GROUP]/namespaces/NS/NAME.json``, ``resources/RESOURCE[.GROUP]/cluster/NAME.json``; the
  same below a version (``v1-preferredversion``) are other forms of these |
| must-gather | ``namespaces/NS/…``, ``cluster-scoped-resources/…``: lists and objects in YAML |
| support bundle | ``cluster-resources/KIND.json`` and ``cluster-resources/KIND/NS.json``: lists |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath
from typing import Final

from pvbinder.model.json import Json
from pvbinder.sources.errors import DumpError, DumpFileError
from pvbinder.sources.texts import objects_in

EXAMPLES_MAX: Final = 5
BYTES_MAX: Final = 1 << 30  # of texts with objects
_KNOWN_OTHERS: Final = frozenset(
    {"auth-cani-list", "groups.json", "resources.json", "image-pull-secrets", "logs"}
)  # of a support bundle's cluster-resources
_KINDS: Final = {  # of lists that older versions of Troubleshoot wrote without kinds
    "cronjobs": ("batch/v1", "CronJob"),
    "daemonsets": ("apps/v1", "DaemonSet"),
    "deployments": ("apps/v1", "Deployment"),
    "events": ("v1", "Event"),
    "jobs": ("batch/v1", "Job"),
    "limitranges": ("v1", "LimitRange"),
    "namespaces": ("v1", "Namespace"),
    "nodes": ("v1", "Node"),
    "pods": ("v1", "Pod"),
    "pvcs": ("v1", "PersistentVolumeClaim"),
    "pvs": ("v1", "PersistentVolume"),
    "replicasets": ("apps/v1", "ReplicaSet"),
    "resource-quota": ("v1", "ResourceQuota"),
    "services": ("v1", "Service"),
    "statefulsets": ("apps/v1", "StatefulSet"),
    "storage-classes": ("storage.k8s.io/v1", "StorageClass"),
    "volumeattachments": ("storage.k8s.io/v1", "VolumeAttachment"),
}


class FilePlace(Enum):
    """What a path says of a file in a collection."""

    OBJECTS = "objects"
    OTHER_FORM = "objects that are in another file as well"
    KNOWN = "something of the tool's own"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """A file of a collection; `read` is None for a link."""

    path: PurePosixPath
    read: Callable[[], bytes] | None


@dataclass(slots=True)
class CollectedReader:
    """Reads the objects of a collection called `name`."""

    name: str
    recognised: int = 0
    _found: dict[tuple[str, str, str, str], tuple[str, Json]] = field(default_factory=dict)
    _others: int = 0
    _examples: list[str] = field(default_factory=list)
    _bytes: int = 0

    def objects(self, entries: Iterable[CollectedFile]) -> Iterator[tuple[str, Json]]:
        """Yield each object with the name of its file (COLLECTED-1 to 3)."""
        for entry in entries:
            place = place_of(entry.path)
            if place is FilePlace.UNKNOWN or (place is FilePlace.OBJECTS and entry.read is None):
                self._count_other(entry.path, "" if entry.read else " (a link)")
            if place is FilePlace.OBJECTS and entry.read is not None:
                self._read(entry.path, entry.read())
        if not self.recognised:
            raise DumpFileError(
                f"{self.name} is no collection that is known: {self._others} files such as {', '.join(self._examples)}",
                hint="known are Velero backups, must-gathers of OpenShift and support bundles of Troubleshoot; "
                "manifests are read from files and directories, unpacked",
            )
        yield from self._found.values()

    def notes(self) -> Iterator[str]:
        """Say which files weren't read (COLLECTED-1)."""
        if self._others:
            more = " …" if self._others > len(self._examples) else ""
            count = f"{self._others} file{'s' * (self._others != 1)}"
            yield f"{self.name}: {count} not read, without objects of Kubernetes: {', '.join(self._examples)}{more}"

    def _count_other(self, path: PurePosixPath, why: str) -> None:
        self._others += 1
        if len(self._examples) < EXAMPLES_MAX:
            self._examples.append(f"{path}{why}")

    def _read(self, path: PurePosixPath, content: bytes) -> None:
        self._bytes += len(content)
        if self._bytes > BYTES_MAX:
            raise DumpFileError(f"{self.name} has more than {BYTES_MAX >> 20} MiB of objects")
        source = f"{self.name}: {path}"
        expected = _KINDS.get(_bundled(path)) if "cluster-resources" in path.parts else None
        try:
            documents = list(objects_in(source, content, expected=expected))
        except DumpFileError:
            raise
        except DumpError:  # it can be read, and something in it isn't an object
            self._count_other(path, "")
            return
        self.recognised += 1
        for document in documents:
            metadata = document.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("name"):
                raise DumpError(f"{source} has a {document['kind']} without a name")
            group = str(document.get("apiVersion", "")).rpartition("/")[0]
            key = (group, document["kind"], str(metadata.get("namespace") or ""), str(metadata["name"]))
            there = self._found.get(key)
            if there is None or _revision(there[1]) < _revision(document):
                self._found[key] = (source, document)


def place_of(path: PurePosixPath) -> FilePlace:
    """Say what is at `path`, from the names of its directories alone."""
    parts = path.parts
    if parts[0] == "resources" and len(parts) > 2:
        return _place_in_backup(parts)
    if parts[:1] == ("metadata",) and len(parts) == 2 and parts[1] == "version":
        return FilePlace.KNOWN
    if "cluster-resources" in parts[:-1]:
        return _place_in_bundle(parts[parts.index("cluster-resources") + 1 :])
    if "cluster-scoped-resources" in parts[:-1] or "namespaces" in parts[:-2]:
        return FilePlace.OBJECTS if path.suffix in (".yaml", ".yml", ".json") else FilePlace.UNKNOWN
    return FilePlace.UNKNOWN


def _place_in_backup(parts: tuple[str, ...]) -> FilePlace:
    if not parts[-1].endswith(".json"):
        return FilePlace.UNKNOWN
    match parts[2:-1]:
        case ("namespaces", _) | ("cluster",):
            return FilePlace.OBJECTS
        case (_, "namespaces", _) | (_, "cluster"):
            return FilePlace.OTHER_FORM
        case _:
            return FilePlace.UNKNOWN


def _place_in_bundle(parts: tuple[str, ...]) -> FilePlace:
    if parts[0] in _KNOWN_OTHERS or parts[1:2] == ("logs",) or parts[-1].endswith("-errors.json"):
        return FilePlace.KNOWN
    return FilePlace.OBJECTS if parts[-1].endswith((".json", ".yaml")) else FilePlace.UNKNOWN


def _bundled(path: PurePosixPath) -> str:
    """The directory or the file, without its ending, that says of which kind a list is."""
    parts = path.parts
    return parts[parts.index("cluster-resources") + 1].removesuffix(".json")


def _revision(document: Json) -> int:
    text = str((document.get("metadata") or {}).get("resourceVersion", ""))
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else -1
