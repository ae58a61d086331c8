"""Write the numbers of protobuf fields that the API server ships, from the `.proto` files of a Kubernetes source tree.

    python tools/schema/messages.py DIR            write src/pvbinder/server/objects/schema/data/messages.json
    python tools/schema/messages.py DIR --check    exit 1 when what is there is not what would be written

DIR holds `k8s.io/api`, `k8s.io/apimachinery`, `k8s.io/apiextensions-apiserver` and `k8s.io/kube-aggregator` (as the
`vendor/` folder of a Go project does, or `staging/src/` of Kubernetes itself). Nothing but numbers and names is taken.

A `.proto` file has the names of Go's fields; the names in JSON are those of `types.json`, which differ by case at most,
but for `JSON_NAMES`. A field that JSON shows in place of its message is one that `types.json` doesn't have.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvbinder.server.kinds.registry import BUILT_IN

DATA = Path(__file__).parents[2] / "src/pvbinder/server/objects/schema/data"
META = "k8s.io.apimachinery.pkg.apis.meta.v1"
EXTENSIONS = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1"

SCALARS = {
    "int32": "int", "int64": "int", "uint32": "int", "double": "float",
    "string": "string", "bool": "bool", "bytes": "bytes",
    f"{META}.Time": "time", f"{META}.MicroTime": "microtime", f"{META}.FieldsV1": "fields",
    f"{META}.Verbs": "items",
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "quantity",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "intorstring",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "json",
    f"{EXTENSIONS}.JSON": "json",
    f"{EXTENSIONS}.JSONSchemaPropsOrBool": "schemaorbool",
    f"{EXTENSIONS}.JSONSchemaPropsOrArray": "schemaorarray",
    f"{EXTENSIONS}.JSONSchemaPropsOrStringArray": "schemaorstrings",
}  # fmt: skip
JSON_NAMES = {  # of fields whose name in JSON isn't that in Go
    (f"{EXTENSIONS}.JSONSchemaProps", "schema"): "$schema",
    (f"{EXTENSIONS}.JSONSchemaProps", "ref"): "$ref",
}
IN_REQUESTS = {  # kinds of bodies that are no served kind of their own
    ("", "v1", "Binding"),
    ("policy", "v1", "Eviction"),
    ("autoscaling", "v1", "Scale"),
    ("authentication.k8s.io", "v1", "TokenRequest"),
}
NEVER_IN_JSON = {(f"{META}.ObjectMeta", "clusterName")}

_MESSAGE = re.compile(r"^message (\w+) \{$")
_FIELD = re.compile(r"^\s+(?:(optional|repeated) )?(map<string, ?)?\.?([\w.]+)>? (\w+) = (\d+);")


@dataclass(frozen=True)
class Declared:
    """A field as its file declares it; `type` is a scalar or the full name of a message."""

    name: str
    number: int
    type: str
    prefix: str  # "[]" of a repeated field, "{}" of a map


def read_protos(top: Path) -> dict[str, list[Declared]]:
    """Return the fields of every message under `top`, by the message's full name."""
    found: dict[str, list[Declared]] = {}
    for path in sorted(top.rglob("generated.proto")):
        text = path.read_text()
        match = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
        if match is None:
            continue
        package, current = match[1], None
        for line in text.splitlines():
            if (start := _MESSAGE.match(line)) is not None:
                current = found.setdefault(f"{package}.{start[1]}", [])
            elif current is not None and (field := _FIELD.match(line)) is not None:
                label, is_map, type_, name, number = field.groups()
                full = type_ if type_ in SCALARS or "." in type_ else f"{package}.{type_}"
                current.append(
                    Declared(name, int(number), full, "{}" if is_map else "[]" if label == "repeated" else "")
                )
    return found


class Writer:
    """Turns declarations into the lines of `messages.json`."""

    def __init__(self, declared: dict[str, list[Declared]], types: dict[str, Any], kinds: dict[str, str]) -> None:
        self._declared = declared
        self._types = types
        self._kinds = kinds
        self._order: list[str] = []  # messages that are reached, full names

    def document(self) -> dict[str, dict[str, str]]:
        """Return the whole document: kinds and messages."""
        for name in self._kinds.values():
            self._reach(name)
        short: dict[str, list[str]] = {}
        for full in self._order:
            short.setdefault(full.rpartition(".")[2], []).append(full)
        names = {
            full: bare if len(fulls) == 1 else f"{_group_version(full)}.{bare}"
            for bare, fulls in short.items()
            for full in fulls
        }
        messages = {names[full]: self._line(full, names) for full in self._order}
        kinds = {kind: names[full] for kind, full in self._kinds.items()}
        return {"kinds": dict(sorted(kinds.items())), "messages": dict(sorted(messages.items()))}

    def _reach(self, full: str) -> None:
        if full in self._order:
            return
        if full not in self._declared:
            raise SystemExit(f"error: no .proto file declares {full}: is a folder missing?")
        self._order.append(full)
        for field in self._declared[full]:
            if self._scalar(field.type) is None:
                self._reach(field.type)

    def _scalar(self, type_: str) -> str | None:
        if type_ in SCALARS:
            return SCALARS[type_]
        fields = self._declared.get(type_, [])
        is_list = [(field.name, field.prefix, field.type) for field in fields] == [("items", "[]", "string")]
        return "items" if is_list and f"io.{type_}" not in self._types and _openapi(type_) not in self._types else None

    def _line(self, full: str, names: dict[str, str]) -> str:
        known = self._types.get(_openapi(full), {}).get("f")
        return " ".join(self._words(full, known, names))

    def _words(self, full: str, known: dict[str, Any] | None, names: dict[str, str]) -> Iterator[str]:
        by_case = {name.lower(): name for name in known or ()}
        for field in self._declared[full]:
            if (full, field.name) in NEVER_IN_JSON:
                continue
            type_ = self._scalar(field.type) or names[field.type]
            name = JSON_NAMES.get((full, field.name)) or by_case.get(field.name.lower())
            if name is None and field.name.startswith("xKubernetes"):
                name = by_case.get(re.sub(r"(?<!^)([A-Z])", r"-\1", field.name).lower())
            if name is None and known is None:
                name = field.name
            if name is not None:
                yield f"{name}:{field.prefix}{type_}={field.number}"
            elif not field.prefix and self._is_shown_in_place(field.type, by_case):
                yield f":<{type_}={field.number}"  # anything else is of a version that types.json doesn't have yet

    def _is_shown_in_place(self, message: str, by_case: dict[str, str]) -> bool:
        inner = [field.name.lower() for field in self._declared.get(message, ())]
        return any(name in by_case for name in inner)


def _openapi(full: str) -> str:
    """The name under which `types.json` knows a message."""
    return "io." + full.replace("k8s.io.", "k8s.", 1).replace(
        "apiextensions_apiserver", "apiextensions-apiserver"
    ).replace("kube_aggregator", "kube-aggregator")


def _group_version(full: str) -> str:
    return ".".join(full.split(".")[-3:-1])


def render(document: dict[str, dict[str, str]]) -> str:
    """Return the document as text, one line a kind or message."""
    parts = []
    for part, lines in document.items():
        rows = ",\n".join(f"{json.dumps(name)}:{json.dumps(line)}" for name, line in lines.items())
        parts.append(f'"{part}":{{\n{rows}\n}}')
    return "{" + ",".join(parts) + "}\n"


def kinds_of(types: dict[str, Any], declared: dict[str, list[Declared]]) -> dict[str, str]:
    """Return the message of each kind that is served, and of those that only requests hold, by ``apiVersion Kind``."""
    messages = {_openapi(full): full for full in declared}
    schemas = {tuple(type_["gvk"]): name for name, type_ in types.items() if "gvk" in type_}
    served = {
        (kind.resource.group, kind.resource.version, kind.resource.kind) for kind in BUILT_IN if kind.schema in messages
    }
    found = {"v1 DeleteOptions": f"{META}.DeleteOptions"}
    for group, version, kind in sorted(served | IN_REQUESTS):
        found[f"{group}/{version} {kind}" if group else f"{version} {kind}"] = messages[schemas[group, version, kind]]
    return found


def main() -> int:
    """Write the document, or with ``--check`` compare."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("error: name the folder that holds k8s.io/api and its siblings", file=sys.stderr)
        return 2
    declared = read_protos(Path(arguments[0]))
    types = json.loads((DATA / "types.json").read_text())
    text = render(Writer(declared, types, kinds_of(types, declared)).document())
    target = DATA / "messages.json"
    if "--check" in sys.argv[1:]:
        return int(target.read_text() != text)
    target.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
