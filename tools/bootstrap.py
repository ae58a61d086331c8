"""Makes the data of `server.api.bootstrap` from recordings of a fresh Kubernetes: ``python -m tools.bootstrap``.

What the server fills in by itself (versions, labels and annotations that all have) is left out, one object a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
RECORDED = ROOT / "tests" / "conformance" / "apiserver"
DATA = ROOT / "src" / "pvbinder" / "server" / "api" / "bootstrap" / "data"

ROLES = "rbac.authorization.k8s.io/v1"
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
# How these are made depends on the server (addresses, certificates), or a controller makes them.
MADE_ELSEWHERE = ("Namespace", "ServiceAccount", "ConfigMap", "Service", "PriorityClass", "ServiceCIDR", "IPAddress")


def recorded(name: str) -> Iterator[dict[str, Any]]:
    """Give the objects of a recording."""
    yield from filter(None, yaml.safe_load_all((RECORDED / name).read_text()))


def policy() -> Iterator[dict[str, Any]]:
    """Give the roles and bindings; rules that a controller gathers are left out."""
    for obj in recorded("bootstrap-rbac.yaml"):
        metadata = obj["metadata"]
        labels = {key: value for key, value in metadata["labels"].items() if key not in LABELS}
        short = {"kind": obj["kind"], "name": metadata["name"]}
        if "namespace" in metadata:
            short["namespace"] = metadata["namespace"]
        if labels:
            short["labels"] = labels
        for field in ("aggregationRule", "roleRef", "subjects", *(() if "aggregationRule" in obj else ("rules",))):
            if field in obj:
                short[field] = obj[field]
        yield short


def furniture() -> Iterator[dict[str, Any]]:
    """Give what else there is, without times."""
    for obj in recorded("bootstrap-objects.yaml"):
        if obj["kind"] not in MADE_ELSEWHERE:
            obj.get("metadata", {}).pop("generation", None)
            for condition in (obj.get("status") or {}).get("conditions") or ():
                condition.pop("lastTransitionTime", None)
            yield obj


def written(objects: Iterable[dict[str, Any]]) -> str:
    """Return the text of a data file."""
    lines = (json.dumps(obj, separators=(",", ":"), ensure_ascii=False) for obj in objects)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def main() -> None:
    """Write the data files."""
    (DATA / "policy.json").write_text(written(policy()))
    (DATA / "furniture.json").write_text(written(furniture()))


if __name__ == "__main__":
    main()
