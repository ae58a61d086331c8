"""The objects in whatever people have: the one function that all commands read files with.

READ-1  The form is known by the content, never by the name: YAML or JSON, a database of etcd or of kine, an archive, a
        text compressed with gzip. What has none of these forms is refused by name, with the forms that there are.
READ-2  A path is a file, a directory, or ``-``, standard input. Of a directory that a tool has collected, or of etcd's
        or k3s's data directory, the objects are read; of any other one, its YAML and JSON files by name.
READ-3  What is left out is said through `say`, with the name of its source: files, encrypted values, unknown kinds.
READ-4  Only files are read (`files`): a pipe, a device, a socket, and a link that leads out of a directory are refused.
        What the shell hands over open is read to its end, within the limit of a text.
READ-5  Nothing is written beside a source, nothing locked, and nothing unpacked onto the disk.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pvbinder import logs
from pvbinder.files import UnreadableFileError, files_below, files_in, opened_file, read_file
from pvbinder.model.json import Json
from pvbinder.sources.archive import BLOCK, FILE_BYTES_MAX, FILES_MAX, GZIP, LEVELS_MAX, ArchiveStream, is_tar, members
from pvbinder.sources.bolt import is_bolt
from pvbinder.sources.collected import CollectedFile, CollectedReader
from pvbinder.sources.content import FileContent, MemoryContent, SourceContent
from pvbinder.sources.errors import DumpFileError
from pvbinder.sources.etcd import StoredValue, read_etcd
from pvbinder.sources.kine import SQLITE, read_kine
from pvbinder.sources.options import ANY, SourceOptions
from pvbinder.sources.stored import StoredReader
from pvbinder.sources.texts import collector_at_rest, documents_in, objects_in

DUMP_BYTES_MAX = 512 * 1024 * 1024
_ENDINGS: Final = (".yaml", ".yml", ".json")
_ZIP: Final = b"PK\x03\x04"
_DATABASES: Final = ("member/snap/db", "snap/db", "db/state.db", "server/db/state.db", "server/db/etcd/member/snap/db")
_MARKS: Final = ("cluster-resources", "cluster-scoped-resources")
_MARKS_DEEP_MAX: Final = 2  # directories above what a tool has collected

FORMS: Final = (
    "read are YAML and JSON, databases of etcd and of kine, Velero backups, must-gathers of OpenShift and support "
    "bundles of Troubleshoot"
)

log = logs.get(__name__)
FoundObjects = Iterator[tuple[str, Json]]
Say = Callable[[str], None]


def _warn(note: str) -> None:
    log.warning("not everything was read", note=note)


def read_sources(paths: Iterable[str], options: SourceOptions = ANY, say: Say = _warn) -> FoundObjects:
    """Yield all objects in `paths`, each after the name of the file that it is in.

    Raises `DumpError`: what can't be read is refused as a whole, though objects before it may have come.
    """
    for path in paths:
        try:
            yield from _read_path(path, options, say)
        except UnreadableFileError as error:
            raise DumpFileError(error.message, hint="name files, or directories of them") from error


def read_dumps(paths: Iterable[str]) -> Iterator[Json]:
    """Yield all objects in `paths`, without the names of their files."""
    for _, document in read_sources(paths):
        yield document


def written_at(paths: Iterable[str]) -> datetime | None:
    """Return when the newest file in `paths` was written; None if none of them is a file, such as standard input."""
    times: list[float] = []
    for path in paths:
        if path == "-":
            return datetime.now(UTC)
        try:
            found = [each for each in Path(path).iterdir() if each.is_file()] if Path(path).is_dir() else [Path(path)]
            times += (each.stat().st_mtime for each in found)
        except OSError:
            continue
    return datetime.fromtimestamp(max(times), UTC) if times else None


def check_dump(path: str) -> None:
    """Raise `DumpError` if a file in `path` can't be read or isn't YAML or JSON; its objects aren't checked here."""
    for source, content in read_contents([path]):
        for _ in documents_in(source, content):
            pass


def read_contents(paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the texts in `paths` by name, each with what is in it (READ-4)."""
    for path in paths:
        try:
            if path == "-":
                yield "standard input", _standard_input()
            elif Path(path).is_dir():
                yield from _texts_in(path)
            else:
                yield path, read_file(path, bytes_max=DUMP_BYTES_MAX)
        except UnreadableFileError as error:
            raise DumpFileError(error.message, hint="name files, or directories of them") from error


def _read_path(path: str, options: SourceOptions, say: Say) -> FoundObjects:
    if path == "-":
        yield from _read_content(MemoryContent("standard input", _standard_input()), None, options, say)
    elif not Path(path).is_dir():
        yield from _read_file(path, options, say)
    elif database := _database_in(Path(path)):
        yield from _read_file(str(database), options, say)
    elif _is_collected(Path(path)):
        below = files_below(path, bytes_max=FILE_BYTES_MAX, levels_max=LEVELS_MAX, files_max=FILES_MAX)
        yield from _collected(path, (CollectedFile(each.path, each.read) for each in below), say)
    else:
        for source, content in _texts_in(path):
            yield from _of(source, objects_in(source, content))


def _read_file(path: str, options: SourceOptions, say: Say) -> FoundObjects:
    with opened_file(path) as opened:
        if opened is None:
            content: SourceContent = MemoryContent(path, read_file(path, bytes_max=DUMP_BYTES_MAX))
        else:
            content = FileContent(path, opened)
        yield from _read_content(content, Path(path), options, say)


def _read_content(content: SourceContent, file: Path | None, options: SourceOptions, say: Say) -> FoundObjects:
    """Read what is in a file by its form (READ-1)."""
    head = content.at(0, BLOCK)
    if is_bolt(content):
        yield from _stored(content.name, read_etcd(content, options.at_revision), options, say)
    elif head.startswith(SQLITE):
        if file is None:
            raise DumpFileError(f"{content.name} is a database of SQLite, which is read only from a file")
        yield from _stored(content.name, read_kine(file, options.at_revision), options, say)
    elif head.startswith(GZIP):
        yield from _read_compressed(content, say)
    elif is_tar(head):
        yield from _read_archive(ArchiveStream(content), say)
    elif head.startswith(_ZIP):
        raise DumpFileError(
            f"{content.name} is a zip archive, which isn't read", hint="unpack it, and name what was in it"
        )
    elif b"\0" in head and not head.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        raise DumpFileError(f"{content.name} has no form that is read", hint=FORMS)
    else:
        yield from _of(content.name, objects_in(content.name, _whole(content)))


def _read_compressed(content: SourceContent, say: Say) -> FoundObjects:
    head = ArchiveStream(content).take(2 * BLOCK)
    if is_tar(head[:BLOCK]):
        yield from _read_archive(ArchiveStream(content), say)
        return
    if is_bolt(MemoryContent(content.name, head)) or head.startswith(SQLITE):
        raise DumpFileError(f"{content.name} is a compressed database", hint="uncompress it first: gunzip")
    text = ArchiveStream(content).take(DUMP_BYTES_MAX + 1)
    if len(text) > DUMP_BYTES_MAX:
        raise DumpFileError(f"{content.name} is larger than {DUMP_BYTES_MAX >> 20} MiB uncompressed")
    yield from _of(content.name, objects_in(content.name, text))


def _read_archive(stream: ArchiveStream, say: Say) -> FoundObjects:
    yield from _collected(stream.name, (CollectedFile(each.path, each.read) for each in members(stream)), say)


def _collected(name: str, entries: Iterable[CollectedFile], say: Say) -> FoundObjects:
    from pvbinder.sources.served import served  # it imports all kinds, which a text doesn't need

    collection = CollectedReader(name)
    yield from served(name, collection.objects(entries), say)
    for note in collection.notes():
        say(note)


def _stored(name: str, stored: Iterator[StoredValue], options: SourceOptions, say: Say) -> FoundObjects:
    from pvbinder.sources.served import served

    objects = StoredReader(name, options.etcd_prefix)
    with collector_at_rest():
        yield from served(name, _of(name, objects.objects(stored)), say)
    for note in objects.notes():
        say(note)


def _of(source: str, documents: Iterable[Json]) -> FoundObjects:
    return ((source, each) for each in documents)


def _whole(content: SourceContent) -> bytes:
    size = content.size
    if size > DUMP_BYTES_MAX:
        raise DumpFileError(f"{content.name} can't be read: it is larger than {DUMP_BYTES_MAX >> 20} MiB")
    return content.at(0, size)


def _standard_input() -> bytes:
    """The bytes, not sys.stdin's text: how that is decoded depends on the locale."""
    content = sys.stdin.buffer.read(DUMP_BYTES_MAX + 1)
    if len(content) > DUMP_BYTES_MAX:
        raise DumpFileError(f"standard input is larger than {DUMP_BYTES_MAX >> 20} MiB")
    return content


def _texts_in(path: str) -> Iterator[tuple[str, bytes]]:
    count = 0
    for file in files_in(path, _ENDINGS, bytes_max=DUMP_BYTES_MAX):
        count += 1
        yield file
    if not count:
        raise DumpFileError(f"{path} has no {', '.join(_ENDINGS)} files")


def _database_in(directory: Path) -> Path | None:
    """The database of a data directory of etcd, or of k3s."""
    return next((file for place in _DATABASES if (file := directory / place).is_file()), None)


def _is_collected(directory: Path, levels: int = _MARKS_DEEP_MAX) -> bool:
    """Whether a tool has collected what is in a directory: it has one of the tools' directories, or is around it."""
    try:
        if any((directory / mark).is_dir() for mark in _MARKS):
            return True
        if levels == _MARKS_DEEP_MAX and (directory / "resources").is_dir():
            return (directory / "metadata" / "version").is_file()
        below = [each for each in directory.iterdir() if each.is_dir() and not each.is_symlink()] if levels else []
    except OSError:
        return False  # whoever reads it says why
    return any(_is_collected(each, levels - 1) for each in below)
