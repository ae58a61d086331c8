"""Write the schema data that the API server ships: what `lightkube-models` knows, completed by `facts.py`.

    python tools/schema/generate.py            write src/pvbinder/server/objects/schema/data/
    python tools/schema/generate.py --check    exit 1 when what is there is not what would be written

The models are read as source, never imported: they need a package that we don't use, and parsing them takes a second.
`types.json` has one line a type, `descriptions/MODULE.json` the texts of one group and version, read only for OpenAPI.
The models' texts were wrapped anew: `breaks.json`, which `breaks.py` writes, says where their own lines end.
docs/decisions/schema-data.md says why.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools.schema import facts
from tools.schema import texts as known_texts

TARGET = Path(__file__).parents[2] / "src/pvbinder/server/objects/schema/data"
BREAKS = Path(__file__).parent / "breaks.json"
# What a Kubernetes 1.36 answered, by type and field, under the names of `Field`: Go's names (g, w, v), in its messages
# about wrong types, and enumerations (e), in its OpenAPI; for "", the required fields of the type in its order.
RECORDED = Path(__file__).parent / "recorded.json"
WRAPPED_AT = 78  # the models' texts are re-wrapped; a line that breaks earlier had a line break of its own


@dataclass
class Model:
    """A class of the models."""

    module: str
    name: str
    description: str
    fields: dict[str, tuple[str, bool]] = field(default_factory=dict)  # name -> (annotation, required)
    texts: dict[str, str] = field(default_factory=dict)
    api_version: str = ""
    kind: str = ""

    @property
    def full_name(self) -> str:
        """The name of its OpenAPI schema."""
        return full_name(self.module, self.name)


def full_name(module: str, name: str) -> str:
    """The OpenAPI schema's name of a class."""
    if module in facts.PACKAGES:
        return f"{facts.PACKAGES[module]}.{name}"
    group, _, version = module.partition("_")
    prefix = facts.PACKAGES_OF_GROUPS.get(group, f"io.k8s.api.{group}")
    return f"{prefix}.{version}.{name}"


def read_models() -> dict[str, Model]:
    """All classes of lightkube-models, by ``module.Name``."""
    spec = importlib.util.find_spec("lightkube")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("lightkube-models is not installed")
    models = {}
    for path in sorted((Path(next(iter(spec.submodule_search_locations))) / "models").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                model = read_class(path.stem, node)
                models[f"{path.stem}.{node.name}"] = model
    return models


def read_class(module: str, node: ast.ClassDef) -> Model:
    """One dataclass: its fields, their JSON names, and the texts from its docstring."""
    description, texts = read_docstring(ast.get_docstring(node, clean=False) or "")
    model = Model(module, node.name, description)
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.annotation, ast.Constant):
            assert isinstance(statement.target, ast.Name)
            name = wire_name(statement)
            model.fields[name] = (str(statement.annotation.value), statement.value is None)
            model.texts[name] = texts.get(statement.target.id, "")
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__post_init__":
            for assign in statement.body:
                assert isinstance(assign, ast.Assign)
                target = assign.targets[0]
                assert isinstance(target, ast.Attribute)
                assert isinstance(assign.value, ast.Constant)
                if target.attr == "apiVersion":
                    model.api_version = str(assign.value.value)
                elif target.attr == "kind":
                    model.kind = str(assign.value.value)
    return model


def wire_name(statement: ast.AnnAssign) -> str:
    """The JSON name of a field, which Python's syntax may have forced to differ."""
    assert isinstance(statement.target, ast.Name)
    if isinstance(statement.value, ast.Call):
        for keyword in statement.value.keywords:
            if keyword.arg == "metadata":
                return str(ast.literal_eval(keyword.value)["json"])
    return statement.target.id


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description of a class and of each field, as they were before they were wrapped."""
    head, _, tail = text.partition("      **parameters**")
    texts: dict[str, str] = {}
    bullets = re.split(r"^      \* \*\*(\w+)\*\* ``[^`]*`` - ", tail, flags=re.MULTILINE)
    for name, body in zip(bullets[1::2], bullets[2::2], strict=True):
        texts[name] = unwrap([line.removeprefix("        ") for line in body.rstrip().split("\n")])
    return unwrap([line.removeprefix("      ") for line in head.rstrip().split("\n")]), texts


def unwrap(lines: list[str]) -> str:
    """Join lines that were broken only because they were full.

    Of two prose lines that stay apart, each was a paragraph: only there can the lost empty line have been.
    """
    joined = last = start = lines[0].rstrip()
    for line in lines[1:]:
        word = re.match(r"\s*\S*", line)
        if line and line[0] not in " \t" and len(last) + 1 + len(word[0] if word else "") > WRAPPED_AT:
            joined += " "
        else:
            joined += "\n\n" if is_prose(start) and is_prose(line) else "\n"
            start = line
        joined += line.rstrip()
        last = line.rstrip()
    return joined.strip("\n")


def is_prose(line: str) -> bool:
    """Whether a line is neither indented nor an item of a list."""
    return bool(line) and line[0] not in " \t-*"


def split(text: str) -> tuple[list[str], list[str]]:
    """Return the words of a text and what follows each of them, "" after the last."""
    parts = re.split(r"(\s+)", text)
    return parts[0::2], [*parts[1::2], ""]


def with_breaks(text: str, breaks: list[list[Any]]) -> str:
    """Return a text whose lines end where `breaks` says: a word's number, and what follows it."""
    words, _ = split(text)
    gaps = [" "] * (len(words) - 1) + [""]
    for number, gap in breaks:
        gaps[number] = gap
    return "".join(word + gap for word, gap in zip(words, gaps, strict=True))


class Facts:
    """The tables of `facts`, looked up from the most exact key to the least."""

    def __init__(self) -> None:
        self.lists = dict(self._lists())
        self.enums = {line.split()[0]: line.split()[1:] for line in facts.ENUMS.strip().split("\n")}
        self.words = {
            name: set(value.split()) for name, value in vars(facts).items() if name.isupper() and isinstance(value, str)
        }

    @staticmethod
    def _lists() -> Iterator[tuple[str, tuple[str, list[str], str]]]:
        for line in facts.LISTS.strip().split("\n"):
            name, kind, *rest = line.split()
            keys = rest.pop(0).split(",") if kind == "map" else []
            yield name, (kind, keys, "" if rest[0] == "-" else rest[0])

    @staticmethod
    def keys(model: Model, name: str) -> tuple[str, ...]:
        """The keys under which a field may stand."""
        return f"{model.module}.{model.name}.{name}", f"{model.name}.{name}", f"*.{name}"

    def says(self, table: str, model: Model, name: str) -> bool:
        """Whether the field stands in a table of words."""
        return any(key in self.words[table] for key in self.keys(model, name))

    def find(self, table: dict[str, Any], model: Model, name: str) -> Any:
        """What a table has for the field, or None."""
        return next((table[key] for key in self.keys(model, name) if key in table), None)


def unknown_facts(models: dict[str, Model]) -> list[str]:
    """The keys in the tables that no field and no type answers to: mistakes."""
    known = {"*." + name for model in models.values() for name in model.fields}
    for key, model in models.items():
        known |= {key, model.name} | {f"{prefix}.{name}" for name in model.fields for prefix in (key, model.name)}
    tables = Facts()
    used = {
        *facts.MAP_VALUES,
        *tables.lists,
        *facts.STRUCT_STRATEGIES,
        *facts.MAP_TYPES,
        *facts.DEFAULTS,
        *tables.enums,
    }
    for table in (
        "INT64",
        "BYTES",
        "VALUE_STRUCTS",
        "POINTER_STRUCTS",
        "POINTER_TIMES",
        "VALUE_INTS",
        "POINTER_INTS",
        "ALWAYS_WRITTEN",
        "WRITTEN_AS_NULL",
        "KEPT_WHEN_EMPTY",
        "REQUIRED_POINTERS",
        "LEFT_OUT_WHEN_EMPTY",
        "POINTER_BOOLS",
        "POINTER_STRINGS",
        "ATOMIC_TYPES",
    ):
        used |= tables.words[table]
    return sorted(used - known)


def build(models: dict[str, Model]) -> dict[str, dict[str, Any]]:
    """The types as `pvbinder.server.objects.schema.types` reads them."""
    known = Facts()
    recorded = json.loads(RECORDED.read_text())
    types = {}
    for key, model in models.items():
        heard = recorded.get(model.full_name, {})
        fields = {
            name: build_field(known, models, model, name) | heard.get(name, {})
            for name in sorted(model.fields, key=field_order)
        }
        entry: dict[str, Any] = {"f": fields}
        if model.api_version:
            group, _, version = model.api_version.rpartition("/")
            entry["gvk"] = [group, version, model.kind]
        if order := heard.get("", {}).get("required"):
            entry["r"] = order
        if {key, model.name} & known.words["ATOMIC_TYPES"]:
            entry["x"] = "atomic"
        types[model.full_name] = entry
    return types


def field_order(name: str) -> tuple[int, str]:
    """Identity first, the rest by name."""
    order = facts.FIELD_ORDER
    return (order.index(name) if name in order else len(order), name)


def build_field(known: Facts, models: dict[str, Model], model: Model, name: str) -> dict[str, Any]:
    """One field, with what the facts add; absent keys have their usual value."""
    annotation, required = model.fields[name]
    kind = type_of(known, models, model, name, annotation)
    entry: dict[str, Any] = {"t": kind}
    if required:
        entry["r"] = True
    zero = zero_of(known, model, name, kind, required)
    if zero != "drop":
        entry["z"] = zero
    if kind.startswith("[]"):
        shape, keys, merging = known.find(known.lists, model, name) or ("atomic", [], "")
        if model.kind.endswith("List") and name == "items":
            shape = "unmarked"
        if shape != "atomic":
            entry["l"] = shape
        if keys:
            entry["k"] = keys
        strategy, _, retain = merging.partition("+")
        if strategy:
            how, _, merge_key = strategy.partition(":")
            entry["s"] = ",".join(filter(None, (how, retain)))
            if merge_key:
                entry["m"] = merge_key
    strategy = known.find(facts.STRUCT_STRATEGIES, model, name)
    if strategy:
        entry["s"] = strategy
    map_type = known.find(facts.MAP_TYPES, model, name)
    if map_type:
        entry["x"] = map_type
    default = known.find(facts.DEFAULTS, model, name)
    if default is not None:
        entry["d"] = default
    enum = known.find(known.enums, model, name)
    if enum and kind.endswith("string"):
        entry["g"] = enum[0]
        if enum[1] != "-":
            entry["e"] = enum[1:]
    if kind == "any":
        entry["g"] = named_any(model, annotation)
    return entry


def named_any(model: Model, annotation: str) -> str:
    """The schema's name of a type whose content is anybody's."""
    inner = re.sub(r"^Optional\[(.*)\]$", r"\1", annotation)
    module, _, name = (inner if "." in inner else f"{model.module}.{inner}").partition(".")
    return full_name(module, name)


def type_of(known: Facts, models: dict[str, Model], model: Model, name: str, annotation: str) -> str:
    """The type in our notation: ``string``, ``#Full.Name``, ``[]int64``, ``{}quantity``."""
    if narrowed := known.find(facts.NARROWED, model, name):
        return "#" + full_name(model.module, narrowed[1:])
    inner = re.sub(r"^Optional\[(.*)\]$", r"\1", annotation)
    if inner.startswith("List["):
        return "[]" + type_of(known, models, model, name, inner[5:-1])
    if inner == "str":
        return "bytes" if known.says("BYTES", model, name) else "string"
    if inner == "int":
        return "int64" if known.says("INT64", model, name) else "int32"
    if inner in ("bool", "float"):
        return {"bool": "bool", "float": "double"}[inner]
    if inner == "dict":
        value = known.find(facts.MAP_VALUES, model, name) or "string"
        return "{}" + ("#" + full_name(model.module, value[1:]) if value.startswith("#") else value)
    qualified = inner if "." in inner else f"{model.module}.{inner}"
    if qualified in facts.SCALARS:
        return str(facts.SCALARS[qualified])
    return "#" + models[qualified].full_name


def zero_of(known: Facts, model: Model, name: str, kind: str, required: bool) -> str:
    """What the reference does with an unset or zero field when it writes an object.

    ``drop``: left out when zero. ``pointer``: left out when unset. ``write``: always written, as its zero value.
    ``null``: always written, null when unset.
    """
    if name in ("kind", "apiVersion") and model.kind:
        return "drop"
    if known.says("LEFT_OUT_WHEN_EMPTY", model, name):
        return "drop"
    if known.says("ALWAYS_WRITTEN", model, name):
        return "write"
    if known.says("WRITTEN_AS_NULL", model, name):
        return "null"
    if known.says("KEPT_WHEN_EMPTY", model, name):
        return "pointer"
    if kind.startswith("#") or kind in ("quantity", "intorstring"):
        if required:
            return "pointer" if known.says("POINTER_STRUCTS", model, name) else "write"
        return "write" if known.says("VALUE_STRUCTS", model, name) else "pointer"
    if kind in ("time", "microtime"):
        return "pointer" if known.says("POINTER_TIMES", model, name) else "write"
    if kind == "any":
        return "pointer"
    if required:
        return "pointer" if known.says("REQUIRED_POINTERS", model, name) else "write"
    if kind.startswith(("[]", "{}")):
        return "drop"
    if kind in ("int32", "int64"):
        return (
            "drop"
            if known.says("VALUE_INTS", model, name) and not known.says("POINTER_INTS", model, name)
            else "pointer"
        )
    if kind == "double":
        return "pointer"
    return "pointer" if known.says("POINTER_BOOLS" if kind == "bool" else "POINTER_STRINGS", model, name) else "drop"


def describe(models: dict[str, Model]) -> dict[str, dict[str, Any]]:
    """The texts, by module and then type: "" is the type's own."""
    texts: dict[str, dict[str, Any]] = {}
    known = Facts()
    breaks = json.loads(BREAKS.read_text())
    for model in models.values():
        own = {"": model.description}
        exact = breaks.get(model.full_name, {})
        if "" in exact:
            own[""] = with_breaks(model.description, exact[""])
        for name, text in model.texts.items():
            if name in exact:
                text = with_breaks(text, exact[name])
            enum = known.find(known.enums, model, name)
            meanings = known_texts.ENUM_MEANINGS.get(enum[0]) if enum else None
            if meanings:
                text += "\n\nPossible enum values:\n" + "\n".join(f' - `"{v}"` {m}' for v, m in meanings.items())
            own[name] = text
        texts.setdefault(model.module, {})[model.full_name] = own
    for key, text in known_texts.SCALAR_TEXTS.items():
        module, _, name = key.partition(".")
        texts.setdefault(module, {})[full_name(module, name)] = {"": text}
    return texts


def render(document: dict[str, Any]) -> str:
    """JSON with one line an entry, so that a change shows as a change of lines."""
    lines = (
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for key, value in document.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def files() -> dict[Path, str]:
    """Everything that is written, by path."""
    models = read_models()
    if mistakes := unknown_facts(models):
        sys.exit(f"facts.py speaks of what isn't there: {', '.join(mistakes)}")
    written = {TARGET / "types.json": render(build(models))}
    for module, texts in describe(models).items():
        written[TARGET / "descriptions" / f"{module}.json"] = render(texts)
    return written


def main() -> int:
    """Write or check."""
    wanted = files()
    if "--check" in sys.argv[1:]:
        stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
        for path in stale:
            print(f"not up to date: {path.relative_to(TARGET.parents[4])}")
        return 1 if stale else 0
    (TARGET / "descriptions").mkdir(parents=True, exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
