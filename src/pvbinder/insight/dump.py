"""Objects from files: manifests, and the output of ``kubectl get -o yaml`` or ``-o json``, lists unpacked.

DUMP-1  A file is YAML or JSON, of several documents and lists within lists; ``-`` is standard input.
DUMP-2  A file that can't be read is a `DumpError` that names the file, and the line where there is one.
DUMP-3  YAML can't make objects of Python or run code. Memory is bounded by the content of the file: its size, its
        nesting, the number of its values, and the expansion of its aliases, in nodes and in bytes.
DUMP-4  Text stays text: times are kept to the last digit, and words and numbers are read as kubectl reads them.
DUMP-5  Only files are read (`files`): a pipe, a device, a socket, and a link that leads out of a directory are refused.

The YAML reader is the server's (`server.objects.schema.yaml_text`), so that a file means here what it means as a body.
"""

from __future__ import annotations

import codecs
import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pvbinder.files import UnreadableFileError, files_in, read_file
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.server.objects.schema.json_text import LEVELS_MAX, object_depth_within

DUMP_BYTES_MAX = 512 * 1024 * 1024
NODES_MAX: Final = 40_000_000  # values in a file of that size; real dumps have one in 15 to 30 bytes
LISTS_MAX: Final = 8  # lists within lists
_ENDINGS = (".yaml", ".yml", ".json")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ALIAS_NODES_FREE = 1_000_000  # nodes; more are allowed in proportion to the size of the file
_ALIAS_BYTES_FREE = 32 << 20


class DumpError(PvbinderError):
    """A file has no Kubernetes objects that can be read."""


class DumpFileError(DumpError):
    """The path leads to no regular file, or the file is no YAML, or it is over a limit."""


def read_dumps(paths: Iterable[str]) -> Iterator[Json]:
    """Yield all objects in `paths`; of a directory, those in its YAML and JSON files by name."""
    for _, document in read_sources(paths):
        yield document


def read_sources(paths: Iterable[str]) -> Iterator[tuple[str, Json]]:
    """Yield all objects in `paths`, each after the name of the file that it is in."""
    for source, content in read_contents(paths):
        with _collector_at_rest():
            for document in _documents(source, content):
                if document is not None:
                    yield from ((source, each) for each in _unpacked(source, document))


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
        for _ in _documents(source, content):
            pass


def read_contents(paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files in `paths` by name, each with what is in it (DUMP-5)."""
    for path in paths:
        try:
            if path == "-":
                # The bytes, not sys.stdin's text: how that is decoded depends on the locale.
                content = sys.stdin.buffer.read(DUMP_BYTES_MAX + 1)
                if len(content) > DUMP_BYTES_MAX:
                    raise DumpFileError(f"standard input is larger than {DUMP_BYTES_MAX // 1024 // 1024} MiB")
                yield "standard input", content
            elif Path(path).is_dir():
                count = 0
                for file in files_in(path, _ENDINGS, bytes_max=DUMP_BYTES_MAX):
                    count += 1
                    yield file
                if not count:
                    raise DumpFileError(f"{path} has no {', '.join(_ENDINGS)} files")
            else:
                yield path, read_file(path, bytes_max=DUMP_BYTES_MAX)
        except UnreadableFileError as error:
            raise DumpFileError(error.message, hint="name files, or directories of them") from error


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Switch Python's garbage collector off: all values are kept, and its passes would take longer than the reading."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _documents(source: str, content: bytes) -> Iterator[Any]:
    if content.startswith(_UTF_16):
        raise DumpFileError(f"{source} is no UTF-8 text, it is UTF-16", hint="write it anew as UTF-8")
    content = content.removeprefix(codecs.BOM_UTF8)
    if content[:4096].lstrip()[:1] in (b"{", b"["):
        import msgspec

        if sum(content.count(mark) for mark in (b",", b"[", b"{")) > NODES_MAX:
            raise DumpFileError(f"{source} has too many values", hint=f"split it: more than {NODES_MAX} can't be read")
        try:
            yield msgspec.json.decode(content)
            return
        except msgspec.DecodeError:
            pass  # YAML in flow style, or several JSON documents after each other
        except RecursionError as error:
            raise _too_deep(source) from error
    yield from _yaml_documents(source, _decoded(source, content))


def _yaml_documents(source: str, text: str) -> Iterator[Any]:
    from pvbinder.server.objects.schema.yaml_text import YamlDepthError, YamlLimits, YamlTextError, parse_yaml_documents

    limits = YamlLimits(
        depth_max=LEVELS_MAX + 2 * LISTS_MAX,
        nodes_max=NODES_MAX,
        nodes_by_alias_max=max(_ALIAS_NODES_FREE, len(text) // 16),
        bytes_by_alias_max=max(_ALIAS_BYTES_FREE, len(text)),
        known_tags_only=True,
    )
    try:
        for document in parse_yaml_documents(text, limits):
            yield document.value
    except YamlDepthError as error:
        raise _too_deep(source) from error
    except YamlTextError as error:
        problem = error.message.removeprefix("yaml: ")
        if error.line is not None and problem.startswith("line "):  # go-yaml's count, often one off
            problem = problem.partition(": ")[2]
        where = f"{source}, line {error.line}" if error.line is not None else source
        raise DumpFileError(f"{where}: {problem}", hint="is it YAML or JSON?") from error


def _decoded(source: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DumpFileError(f"{source} is no UTF-8 text (byte {error.start})") from error


def _too_deep(source: str) -> DumpFileError:
    return DumpFileError(f"{source} is nested too deeply", hint=f"no object may have more than {LEVELS_MAX} levels")


def _unpacked(source: str, document: object, depth: int = 0) -> Iterator[Json]:
    if depth > LISTS_MAX:
        raise DumpFileError(f"{source} has lists within lists within lists")
    if isinstance(document, list):
        for item in document:
            yield from _unpacked(source, item, depth + 1)
        return
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise DumpError(f"{source} has something that is no Kubernetes object: it has no kind")
    kind = document["kind"]
    if not kind.endswith("List") or "items" not in document:
        if not object_depth_within(document):
            raise _too_deep(source)
        yield document
        return
    items = document["items"] or []
    if not isinstance(items, list):
        raise DumpError(f"{source} has something that is no Kubernetes object: the items of a {kind} are no list")
    for item in items:
        if isinstance(item, dict) and "kind" not in item and kind != "List":
            item = {"apiVersion": document.get("apiVersion", "v1"), "kind": kind.removesuffix("List"), **item}
        yield from _unpacked(source, item, depth + 1)
