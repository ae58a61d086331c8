"""Applies public definitions and their examples to `pvbinder up`, and lists what is refused.

    python -m tools.public_definitions DIR

Each folder of DIR is a project, with files in YAML at any depth. All CustomResourceDefinitions in them are created on a
plane of the project's own, then every object of their kinds, with strict field validation, as kubectl does. What isn't
YAML as it stands, as templates aren't, is left out. One line for each project, and one for each refusal.
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from tools.plane import access, running

ESTABLISHED_SECONDS = 10.0
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
API = "apiextensions.k8s.io/v1"
NAMESPACE = "default"
CREATED = 201


class Plane:
    """A client of a plane's API server."""

    def __init__(self, kubeconfig: Path) -> None:
        address, context = access(kubeconfig)
        self._connection = http.client.HTTPSConnection(urlsplit(address).netloc, context=context)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and answer."""
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")


def documents(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Return all objects of a folder's files, with their files; lists one by one."""
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        try:
            found = list(yaml.load_all(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        except (yaml.YAMLError, ValueError):
            continue
        for each in found:
            if isinstance(each, dict) and each.get("kind") == "List":
                found += each.get("items") or []
            elif isinstance(each, dict) and isinstance(each.get("metadata"), dict):
                yield path, json.loads(json.dumps(each, default=str))


def try_project(folder: Path, plane: Plane) -> tuple[str, list[str]]:
    """Create a project's definitions, and the objects of their kinds; return a line of counts, and the refusals."""
    objects = list(documents(folder))
    refused: list[str] = []
    known: dict[tuple[str, str], tuple[str, bool]] = {}
    definitions = {
        each["metadata"].get("name"): (path, each)
        for path, each in objects
        if each.get("kind") == "CustomResourceDefinition"
        and each["apiVersion"] == API
        and (each.get("spec") or {}).get("versions")
    }
    for name, (path, definition) in definitions.items():
        status, answer = plane.ask("POST", f"{DEFINITIONS}?fieldValidation=Strict", definition)
        if status != CREATED:
            refused.append(f"  {path.relative_to(folder)}: {name}: {answer['message']}")
            continue
        if why := not_served(plane, name):
            refused.append(f"  {path.relative_to(folder)}: {name}: {why}")
        spec = definition["spec"]
        for version in spec["versions"]:
            key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            known[key] = (spec["names"]["plural"], spec["scope"] == "Namespaced")
    definitions_refused, examples, examples_refused = len(refused), 0, 0
    for path, each in objects:
        found = known.get((str(each.get("apiVersion")), str(each.get("kind"))))
        if found is None:
            continue
        examples += 1
        plural, is_namespaced = found
        if is_namespaced:
            each["metadata"]["namespace"] = NAMESPACE
        place = f"/apis/{each['apiVersion']}" + (f"/namespaces/{NAMESPACE}" if is_namespaced else "")
        status, answer = plane.ask("POST", f"{place}/{plural}?fieldValidation=Strict", each)
        name = f"{each['kind']} {each['metadata'].get('name')}"
        if status == CREATED:
            plane.ask("DELETE", f"{place}/{plural}/{answer['metadata']['name']}")
        else:
            examples_refused += 1
            refused.append(f"  {path.relative_to(folder)}: {name}: {status} {answer['message']}")
    line = f"{folder.name}: {len(definitions) - definitions_refused} of {len(definitions)} definitions"
    return f"{line}, {examples - examples_refused} of {examples} examples", refused


def not_served(plane: Plane, name: str) -> str:
    """Say why a definition isn't served; "" if it is, or soon is."""
    end = time.monotonic() + ESTABLISHED_SECONDS
    while time.monotonic() < end:
        conditions = (plane.ask("GET", f"{DEFINITIONS}/{name}")[1].get("status") or {}).get("conditions") or []
        states = {each["type"]: each for each in conditions}
        if states.get("Established", {}).get("status") == "True":
            return ""
        if states.get("NamesAccepted", {}).get("status") == "False":
            return str(states["NamesAccepted"]["message"])
        time.sleep(0.02)
    return "not established"


def main() -> int:
    """Try all projects of a folder; 0 if nothing is refused."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    is_fine = True
    for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir()):
        with (
            tempfile.TemporaryDirectory() as data,
            running(Path(data), ["--bare", "--controllers="]) as plane,
        ):
            line, refused = try_project(folder, Plane(plane.kubeconfig))
        print(line, *refused, sep="\n", flush=True)
        is_fine = is_fine and not refused
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
