"""The plain manifests as objects, as kustomize puts them together: by the lists of their kustomization files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
MANIFESTS = DEPLOY / "manifests"
FOLDERS = ("controller", "monitoring", "csi-sidecar")
Json = dict[str, Any]
Key = tuple[str, str, str]


def objects_in(*folders: str) -> list[Json]:
    """Return the objects of these folders."""
    return [
        document
        for folder in folders
        for name in yaml.safe_load((MANIFESTS / folder / "kustomization.yaml").read_text())["resources"]
        for document in yaml.safe_load_all((MANIFESTS / folder / name).read_text())
    ]


def key_of(document: Json) -> Key:
    """Return what an object is, where, and its name."""
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def by_key(documents: list[Json]) -> dict[Key, Json]:
    """Return the objects by their keys; none is there twice."""
    found = {key_of(document): document for document in documents}
    assert len(found) == len(documents)
    return found


def only(documents: list[Json], kind: str, name: str) -> Json:
    """Return the one object of this kind and name."""
    (found,) = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def container_of(documents: list[Json], deployment: str, name: str) -> Json:
    """Return a container of a deployment."""
    spec = only(documents, "Deployment", deployment)["spec"]["template"]["spec"]
    (found,) = [each for each in spec["containers"] if each["name"] == name]
    assert isinstance(found, dict)
    return found
