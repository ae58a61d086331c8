"""Objects from files: manifests and what ``kubectl get -o yaml`` or ``-o json`` writes, lists unpacked.

DUMP-1  A file is YAML or JSON, of several documents and lists within lists; ``-`` is standard input.
DUMP-2  What can't be read is a `DumpError` that names the file, and the line where there is one.
DUMP-3  YAML can't make objects or run anything, and a file larger than `MOST_BYTES` is refused.
DUMP-4  Text stays text: times are kept to the last digit, and a lone ``=`` or ``1e+3`` is read as kubectl reads it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json

MOST_BYTES = 512 * 1024 * 1024
_ENDINGS = (".yaml", ".yml", ".json")


class DumpError(PvbinderError):
    """A file has no Kubernetes objects that can be read."""


def read_dumps(paths: Iterable[str]) -> Iterator[Json]:
    """Yield all objects in `paths`; of a directory, those in its YAML and JSON files by name."""
    for _, document in read_sources(paths):
        yield document


def read_sources(paths: Iterable[str]) -> Iterator[tuple[str, Json]]:
    """Yield all objects in `paths`, each after the name of the file that it is in."""
    for path in paths:
        if path == "-":
            source = "standard input"
            # The bytes, not sys.stdin's text: how that is decoded depends on the locale.
            text = _decoded(source, sys.stdin.buffer.read(MOST_BYTES + 1))
            yield from ((source, each) for each in _objects(source, text))
            continue
        place = Path(path)
        files = sorted(each for each in place.iterdir() if each.suffix in _ENDINGS) if place.is_dir() else [place]
        if not files:
            raise DumpError(f"{path} has no {', '.join(_ENDINGS)} files")
        for file in files:
            yield from ((str(file), each) for each in _objects(str(file), _text(file)))


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DumpError(f"{file} is larger than {MOST_BYTES // 1024 // 1024} MiB")
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise DumpError(f"{file} doesn't exist") from error
    except OSError as error:
        raise DumpError(f"{file} can't be read: {error.strerror}") from error
    return _decoded(str(file), content)


def _decoded(source: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DumpError(f"{source} is no UTF-8 text (byte {error.start})") from error


def _objects(source: str, text: str) -> Iterator[Json]:
    if len(text) > MOST_BYTES:
        raise DumpError(f"{source} is larger than {MOST_BYTES // 1024 // 1024} MiB")
    for document in _documents(source, text):
        if document is not None:
            yield from _unpacked(source, document)


def _documents(source: str, text: str) -> list[Any]:
    if text.lstrip()[:1] in ("{", "["):
        import msgspec

        try:
            return [msgspec.json.decode(text)]
        except msgspec.DecodeError:
            pass  # YAML in flow style, or several JSON documents after each other
        except RecursionError as error:
            raise DumpError(f"{source} is nested too deeply") from error
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """YAML as kubectl reads it: times and a lone equals sign are text, an exponent makes a number (DUMP-4)."""

        yaml_implicit_resolvers: ClassVar = {
            first: [
                (tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("timestamp", "value")
            ]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    exponent = re.compile(r"[-+]?[0-9]+[eE][-+][0-9]+", re.ASCII)
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", exponent, list("-+0123456789"))
    try:
        return list(yaml.load_all(text, Loader=Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{source}, line {mark.line + 1}" if mark is not None else source
        raise DumpError(f"{where}: {error.problem or 'no YAML'}", hint="is it YAML or JSON?") from error
    except yaml.YAMLError as error:
        raise DumpError(f"{source} is neither YAML nor JSON: {error}") from error
    except RecursionError as error:
        raise DumpError(f"{source} is nested too deeply") from error


def _unpacked(source: str, document: object, depth: int = 0) -> Iterator[Json]:
    if isinstance(document, list):
        for item in document:
            yield from _unpacked(source, item, depth)
        return
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise DumpError(f"{source} has something that is no Kubernetes object: it has no kind")
    kind = document["kind"]
    if not kind.endswith("List") or "items" not in document:
        yield {str(key): _plain(value) for key, value in document.items()}
        return
    if depth > 8:
        raise DumpError(f"{source} has lists within lists within lists")
    for item in document["items"] or []:
        if isinstance(item, dict) and "kind" not in item and kind != "List":
            item = {"apiVersion": document.get("apiVersion", "v1"), "kind": kind.removesuffix("List"), **item}
        yield from _unpacked(source, item, depth + 1)


def _plain(value: Any) -> Any:
    """With keys that are text, as they are in JSON."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
