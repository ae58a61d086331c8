"""JSON patches as Kubernetes applies them, which isn't to the letter of RFC 6902 (GW-8).

Kubernetes uses a library of its own for them, and controllers rely on what that one takes. Where it departs:

- `replace` sets a key of an object that isn't there yet, `copy` of a missing key sets null, and a `test` for null holds
  for a missing key. A missing element of a list is refused, as in the RFC.
- An index counts from the end if it is negative (`-1` is the last one, for `add` behind it), and may have a sign or
  leading zeros (`+1`, `01`).
- What stands before the first slash of a path is passed over (``data/k`` is ``/k``). A path without a slash leads
  nowhere, and so does ``""``: the whole document can't be replaced.
- A `~` that stands for nothing is itself.
- `test` compares numbers as they are written: ``1`` isn't ``1.0``.

JSON_PATCH-1  The document that is given is changed in place. A patch that fails leaves it half changed: throw it away.
JSON_PATCH-2  Bounded: no more than `copied_bytes_max` bytes are copied, all `copy` operations together.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json

_INDEX: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_ESCAPED: Final = re.compile(r"~[01]")
_LITERALS: Final = {b"null": None, b"true": True, b"false": False}

_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])


class JsonPatchError(PvbinderError):
    """The patch doesn't fit the document, or an operation is none."""


def apply_operations(doc: Json, operations: list[Any], texts: list[msgspec.Raw], *, copied_bytes_max: int) -> None:
    """Apply `operations` to `doc`, in place; `texts` are the same operations as they were written.

    Raises `JsonPatchError` for what the reference answers with 422.
    """
    copied = 0
    for operation, text in zip(operations, texts, strict=True):
        if not isinstance(operation, dict):
            raise JsonPatchError("an operation is null")
        match operation.get("op"):
            case "add":
                _add(doc, _path(operation, "path"), operation.get("value"))
            case "remove":
                _take(doc, _path(operation, "path"))
            case "replace":
                place, key = _find(doc, _path(operation, "path"))
                _look(place, key)
                place[_position(place, key)] = operation.get("value")
            case "move":
                source = _path(operation, "from")
                value = _take(doc, source)
                _add(doc, _path(operation, "path"), value)
            case "copy":
                value = _look(*_find(doc, _path(operation, "from")))
                written = msgspec.json.encode(value)
                copied += len(written)
                if copied > copied_bytes_max:
                    raise JsonPatchError("the patch copies too much")
                _add(doc, _path(operation, "path"), msgspec.json.decode(written))
            case "test":
                value = _look(*_find(doc, _path(operation, "path")))
                wanted = _raw_object.decode(text).get("value")
                if not _equals(value, b"null" if wanted is None else bytes(wanted).strip()):
                    raise JsonPatchError("a test doesn't hold")
            case _:
                raise JsonPatchError("an operation has no known name")


def _path(operation: Json, field: str) -> str:
    path = operation.get(field)
    if not isinstance(path, str):
        raise JsonPatchError(f"an operation has no {field}")
    return path


def _find(doc: Json, path: str) -> tuple[Any, str]:
    """Return the object or list in which the last step of `path` leads somewhere, and that step."""
    _, *steps = path.split("/")
    if not steps:
        raise JsonPatchError(f"{path!r} leads nowhere")
    place: Any = doc
    for step in steps[:-1]:
        place = _look(place, _unescaped(step))
        if not isinstance(place, dict | list):
            raise JsonPatchError(f"{path!r} leads through what is no object and no list")
    return place, _unescaped(steps[-1])


def _unescaped(step: str) -> str:
    return _ESCAPED.sub(lambda found: "/" if found[0] == "~1" else "~", step) if "~" in step else step


def _look(place: Any, key: str) -> Any:
    """Return what is at `key`; nothing is null in an object, and an error in a list."""
    if isinstance(place, dict):
        return place.get(key)
    return place[_position(place, key)]


def _position(place: Any, key: str) -> Any:
    """Return `key` of an object as it is, and of a list the index of the element that is there."""
    if isinstance(place, dict):
        return key
    return _index(key, len(place))


def _index(key: str, count: int) -> int:
    if not _INDEX.fullmatch(key) or len(key) > 20:
        raise JsonPatchError(f"{key!r} is no index")
    index = int(key)
    if not -count <= index < count:
        raise JsonPatchError(f"there is no element {key}")
    return index + count if index < 0 else index


def _add(doc: Json, path: str, value: Any) -> None:
    place, key = _find(doc, path)
    if isinstance(place, dict):
        place[key] = value
    elif key == "-":
        place.append(value)
    else:
        place.insert(_index(key, len(place) + 1), value)


def _take(doc: Json, path: str) -> Any:
    place, key = _find(doc, path)
    if isinstance(place, dict):
        if key not in place:
            raise JsonPatchError(f"there is no {path}")
        return place.pop(key)
    return place.pop(_index(key, len(place)))


def _equals(value: Any, text: bytes) -> bool:
    """Tell whether `value` is what `text` says; numbers letter by letter."""
    if isinstance(value, dict):
        if not text.startswith(b"{"):
            return False
        wanted = _raw_object.decode(text)
        return value.keys() == wanted.keys() and all(
            _equals(inner, bytes(wanted[key]).strip()) for key, inner in value.items()
        )
    if isinstance(value, list):
        if not text.startswith(b"["):
            return False
        elements = _raw_list.decode(text)
        return len(value) == len(elements) and all(
            _equals(inner, bytes(element).strip()) for inner, element in zip(value, elements, strict=True)
        )
    if isinstance(value, str):
        return text.startswith(b'"') and value == msgspec.json.decode(text)
    if text in _LITERALS:
        return value is _LITERALS[text]
    return text == msgspec.json.encode(value)
