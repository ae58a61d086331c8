"""Near-valid objects, patches and texts: accepted ones with a part dropped, altered, doubled or spoiled.

Everything is drawn from a `Random` that the caller owns: one with a seed says the same each time, hypothesis' shrinks.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

from pvbinder.server.objects.kind import Json

ODD: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308, "", "a", "0", "é", "\0",
    "\u2028", "\ud7ff", "x" * 300, "../..", "1Gi", "-1", "1e99999", "{{}}", "2024-01-01T00:00:00Z", [], [None], [[]],
    ["a", "a"], {}, {"a": None}, {"": ""}, {"$patch": "delete"}, [{"name": "a"}, {"name": "a"}],
)  # fmt: skip
KEYS = ("a", "", "name", "metadata", "spec", "status", "kind", "labels", "a/b", "a~1b", "$ref", "\0", "x" * 100)
DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder", "$deleteFromPrimitiveList", "$unknown")
POINTERS = (
    "",
    "/",
    "/metadata",
    "/metadata/labels/a",
    "/spec/-",
    "/status",
    "/spec/0/~1",
    "/a~2",
    "/metadata/name",
    "x",
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value: the dict or list it stands in, and its key or index there."""
    found: list[tuple[Any, Any]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found.append((value, key))
        found += places(each)
    return found


def mutated(random: Random, obj: Any, changes: int = 1) -> Any:
    """A copy of a JSON value in which so many things are changed."""
    value = copy.deepcopy(obj)
    for _ in range(changes):
        found = places(value)
        if not found:
            return odd(random)
        holder, key = random.choice(found)
        match random.randrange(7):
            case 0:
                del holder[key]
            case 1 | 2:
                holder[key] = odd(random)
            case 3:
                holder[key] = [holder[key], copy.deepcopy(holder[key])]
            case 4:
                holder[key] = nested(random, random.choice((3, 30, 199, 300)))
            case 5 if isinstance(holder, dict):
                holder[random.choice(KEYS)] = copy.deepcopy(holder[key])
            case 5:
                holder.insert(key, copy.deepcopy(holder[key]))
            case _:
                other, other_key = random.choice(found)
                if other_key in other if isinstance(other, dict) else other_key < len(other):
                    holder[key] = copy.deepcopy(other[other_key])
    return value


def odd(random: Random) -> Any:
    """A value that is unusual in its place."""
    return copy.deepcopy(random.choice(ODD))


def nested(random: Random, depth: int) -> Any:
    """Lists or objects in each other."""
    value: Any = odd(random)
    is_list = random.random() < 0.5
    for _ in range(depth):
        value = [value] if is_list else {"a": value}
    return value


def json_patch(random: Random, obj: Any) -> list[Any]:
    """Operations on places that are there, or nearly."""
    pointers = [*POINTERS, *(pointer for pointer, _ in _pointers(obj))]
    operations: list[Any] = []
    for _ in range(random.randrange(4)):
        operation: Any = {"op": random.choice(("add", "remove", "replace", "move", "copy", "test", "test", "x", None))}
        for field in ("path", "from"):
            if random.random() < 0.9:
                operation[field] = random.choice(pointers) if random.random() < 0.9 else odd(random)
        if random.random() < 0.8:
            operation["value"] = odd(random)
        operations.append(operation if random.random() < 0.95 else odd(random))
    return operations


def _pointers(value: Any, at: str = "") -> list[tuple[str, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, each in inner:
        pointer = f"{at}/" + str(key).replace("~", "~0").replace("/", "~1")
        found += [(pointer, each), *_pointers(each, pointer)]
    return found


def merge_patch(random: Random, obj: Any) -> Any:
    """A part of a stored object, changed: most of it still fits."""
    if not isinstance(obj, dict) or not obj:
        return odd(random)
    part = {key: value for key, value in obj.items() if random.random() < 0.3}
    return mutated(random, part, random.randrange(3))


def strategic_patch(random: Random, obj: Any) -> Any:
    """The same with directives, where they make sense or don't."""
    patch = merge_patch(random, obj)
    for holder in [patch, *(holder[key] for holder, key in places(patch))]:
        if isinstance(holder, dict) and random.random() < 0.3:
            name = random.choice(DIRECTIVES)
            if name.startswith(("$set", "$delete")) and random.random() < 0.9:
                name += "/" + random.choice([*map(str, holder), *KEYS, "finalizers", "containers"])
            values: list[Any] = [
                "replace",
                "delete",
                "merge",
                "bogus",
                [*map(str, holder)],
                [{"name": "a"}],
                odd(random),
            ]
            holder[name] = random.choice(values)
    return patch


def with_managed_fields(random: Random, obj: Json) -> Json:
    """An object with entries of owners as no server would write them."""
    entry: Json = {
        "manager": random.choice(("one", "", "two")),
        "operation": random.choice(("Apply", "Update", "Eat")),
        "apiVersion": random.choice(("v1", "apps/v1", "x/y/z", "")),
        "time": "2024-01-01T00:00:00Z",
        "fieldsType": random.choice(("FieldsV1", "FieldsV2")),
        "fieldsV1": {random.choice(("f:spec", "f:", "k:{", 'k:{"name":"a"}', "v:1", "i:x", ".", "x")): odd(random)},
    }
    entries = [mutated(random, entry, random.randrange(2)) for _ in range(random.randrange(3))]
    return {**obj, "metadata": {**(obj.get("metadata") or {}), "managedFields": entries}}


def spoiled(random: Random, text: bytes) -> bytes:
    """A text that is no JSON any more, or JSON as nobody writes it."""
    at = random.randrange(len(text) + 1)
    match random.randrange(8):
        case 0:
            return text[:at]
        case 1:
            return (
                text[:at]
                + random.choice((b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"', b"}", b"\\"))
                + text[at:]
            )
        case 2:  # a key that is there twice
            return text.replace(b"{", b'{"metadata":{"name":"b"},"metadata":null,', 1)
        case 3:
            numbers = (b"1e999", b"-0", b"NaN", b"Infinity", b"0" * 300, b"1" * 5000, b"1.0e-999", b"0x10", b"1_0")
            return text.replace(b"1", random.choice(numbers), 1)
        case 4:
            return text.replace(b'"', random.choice((b'"\\ud800', b'"\\u0000', b'"\\udc00\\ud800', b'"\\x', b'"\n')), 1)
        case 5:
            return b"[" * random.choice((10, 201, 100_000))
        case 6:
            return b'{"a":' * random.choice((10, 201, 20_000)) + b"1" + b"}" * 10
        case _:
            return bytes(random.randrange(256) for _ in range(random.randrange(60)))


def bomb(random: Random) -> bytes:
    """YAML whose aliases stand for more than anybody has room for, or for each other."""
    levels = random.randrange(2, 12)
    lines = [f"l0: &l0 [{', '.join(['x'] * 9)}]"]
    lines += [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, levels)]
    return (
        "\n".join([*lines, random.choice(("a: &a [*a]", "<<: *l0", "b: *none", "c: !!python/name:os.system x"))])
    ).encode()


def envelope(random: Random, kind: str, api_version: str) -> bytes:
    """Kubernetes' protobuf envelope around something: truncated, with wrong lengths, or nested for ever."""

    def field(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    inner = bytes(random.randrange(256) for _ in range(random.randrange(20)))
    for _ in range(random.choice((0, 1, 5, 300))):
        inner = field(random.choice((1, 2, 3, 11, 15)), inner)
    body = b"k8s\0" + field(1, field(1, api_version.encode()) + field(2, kind.encode())) + field(2, inner)
    match random.randrange(4):
        case 0:
            return body[: random.randrange(len(body))]
        case 1:
            at = random.randrange(4, len(body))
            return body[:at] + random.choice((b"\xff" * 12, b"\x80", b"\x00", b"\x7f", b"\x0b\x0c")) + body[at:]
        case _:
            return body


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def text_of(value: Any) -> bytes:
    """JSON as a client writes it."""
    return json.dumps(value).encode()
