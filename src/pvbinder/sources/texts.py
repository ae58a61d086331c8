"""Objects in texts: manifests, and the output of ``kubectl get -o yaml`` or ``-o json``, lists unpacked.

DUMP-1  A text is YAML or JSON, of several documents and lists within lists.
DUMP-2  A text that can't be read is a `DumpError` that names the file, and the line where there is one.
DUMP-3  YAML can't make objects of Python or run code. Memory is bounded by the content of the file: its size, its
        nesting, the number of its values, and the expansion of its aliases, in nodes and in bytes.
DUMP-4  Text stays text: times are kept to the last digit, and words and numbers are read as kubectl reads them.

The YAML reader is the server's (`server.objects.schema.yaml_text`), so that a file means here what it means as a body.
"""

from __future__ import annotations

import codecs
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pvbinder.model.json import Json
from pvbinder.server.objects.schema.json_text import LEVELS_MAX, object_depth_within
from pvbinder.sources.errors import DumpError, DumpFileError

NODES_MAX: Final = 40_000_000  # values in a file of that size; real dumps have one in 15 to 30 bytes
LISTS_MAX: Final = 8  # lists within lists
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ALIAS_NODES_FREE = 1_000_000  # nodes; more are allowed in proportion to the size of the file
_ALIAS_BYTES_FREE = 32 << 20


def objects_in(source: str, content: bytes, *, expected: tuple[str, str] | None = None) -> Iterator[Json]:
    """Yield the objects in a text; `source` names it, `expected` is the type of objects and lists that name none."""
    with collector_at_rest():
        for document in documents_in(source, content):
            if document is not None:
                yield from _unpacked(source, document if expected is None else _typed(document, expected))


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Switch Python's garbage collector off: all values are kept, and its passes would take longer than the reading."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def documents_in(source: str, content: bytes) -> Iterator[Any]:
    """Yield the documents of a text, whatever they are."""
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
        raise DumpFileError(f"{source} is no UTF-8 text (byte {error.start})", hint="is it YAML or JSON?") from error


def _too_deep(source: str) -> DumpFileError:
    return DumpFileError(f"{source} is nested too deeply", hint=f"no object may have more than {LEVELS_MAX} levels")


def _typed(document: object, expected: tuple[str, str]) -> object:
    """A list, or what is in it, with the type that its place gives it, unless it has one."""
    if isinstance(document, dict) and "items" in document:
        return document if "kind" in document else _typed(document["items"], expected)
    if isinstance(document, list):
        typed = dict(zip(("apiVersion", "kind"), expected, strict=True))
        return [{**typed, **each} if isinstance(each, dict) else each for each in document]
    return document


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
