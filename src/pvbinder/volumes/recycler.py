"""The pod that empties a volume: its template, the pod for one volume, and its time limit (RY-7 to RY-13).

RECYCLER-1  Every run has its own copy of the template; none is ever changed. (The reference shares one for each plugin,
            so that two runs at once can get in each other's way.)
RECYCLER-2  A template that can't be used is found when it's read, at start-up, and the error names the file.

Pure but for `read_template`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

from pvbinder.files import UnreadableFileError, read_file
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Volume
from pvbinder.server.objects.schema.yaml_text import YamlTextError, parse_yaml
from pvbinder.volumes.plugin import RunPod

IMAGE: Final = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.6"
SCRIPT: Final = 'test -e /scrub && find /scrub -mindepth 1 -delete && test -z "$(ls -A /scrub)" || exit 1'
NAMESPACE: Final = "default"
TEMPLATE_BYTES_MAX: Final = 1 << 20  # bytes
_GIB_NANO: Final = (1 << 30) * 10**9


class RecyclerTemplateError(PvbinderError):
    """A template file that makes no recycler pod."""


@dataclass(frozen=True, slots=True)
class RecyclerSettings:
    """How a plugin's volumes are recycled; a `template` of None is the default one."""

    minimum_seconds: int
    increment_seconds: int  # for each GiB
    template: Json | None = None

    def deadline_seconds(self, volume: Volume) -> int:
        """Return the time that the recycler of `volume` may run (RY-12); a started GiB doesn't count."""
        whole_gib = max(volume.size.nano, 0) // _GIB_NANO
        return max(self.minimum_seconds, whole_gib * self.increment_seconds)


HOST_PATH_RECYCLER: Final = RecyclerSettings(minimum_seconds=60, increment_seconds=30)
NFS_RECYCLER: Final = RecyclerSettings(minimum_seconds=300, increment_seconds=30)


def default_template() -> Json:
    """Return the template of RY-13."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "pv-recycler-", "namespace": NAMESPACE},
        "spec": {
            "activeDeadlineSeconds": 60,
            "restartPolicy": "Never",
            "volumes": [{"name": "vol"}],
            "containers": [
                {
                    "name": "pv-recycler",
                    "image": IMAGE,
                    "command": ["/bin/sh"],
                    "args": ["-c", SCRIPT],
                    "volumeMounts": [{"name": "vol", "mountPath": "/scrub"}],
                }
            ],
        },
    }


def recycler_pod_name(volume: Volume) -> str:
    """Return the name of the pod that recycles `volume` (RY-7)."""
    return f"recycler-for-{volume.name}"


def recycler_pod(volume: Volume, run: RunPod) -> Json:
    """Return the pod that recycles `volume`: its own copy of the template, ready to be created (RY-7, RY-12)."""
    pod = copy.deepcopy(run.template)
    metadata = pod.setdefault("metadata", {})
    metadata.pop("generateName", None)
    metadata["name"] = recycler_pod_name(volume)
    metadata["namespace"] = metadata.get("namespace") or NAMESPACE
    spec = pod["spec"]
    spec["activeDeadlineSeconds"] = run.deadline_seconds
    spec.setdefault("automountServiceAccountToken", False)  # who scrubs a volume has no business with the API server
    spec["volumes"][0] = {"name": spec["volumes"][0].get("name"), **copy.deepcopy(run.source)}
    return pod


def read_template(path: str) -> Json:
    """Return the template in the file at `path`, YAML or JSON, or raise `RecyclerTemplateError` (RECYCLER-2)."""
    try:
        text = read_file(path, bytes_max=TEMPLATE_BYTES_MAX)
    except UnreadableFileError as error:
        raise RecyclerTemplateError(f"failed to read file path {path}: {error.reason}") from error
    if not text:
        raise RecyclerTemplateError(f"file was empty: {path}")
    try:
        document: object = parse_yaml(text).value
    except YamlTextError as error:
        raise RecyclerTemplateError(f"failed decoding file: {path}: {error.message}") from error
    return _checked(document, path)


def _checked(document: Any, path: str) -> Json:
    """`document` if it's a Pod that `recycler_pod` can work with."""
    match document:
        case {"apiVersion": "v1", "kind": "Pod"}:
            pod: Json = document
        case {"kind": kind}:
            raise RecyclerTemplateError(f"failed decoding file: {path}: a {kind} is no v1 Pod")
        case _:
            raise RecyclerTemplateError(f"failed decoding file: {path}: it holds no v1 Pod")
    metadata = pod.get("metadata") or {}
    spec = pod.get("spec") or {}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise RecyclerTemplateError(f"failed decoding file: {path}: metadata and spec must be objects")
    namespace = metadata.get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        raise RecyclerTemplateError(f"failed decoding file: {path}: metadata.namespace must be a string")
    volumes = spec.get("volumes")
    if volumes is None or volumes == []:
        raise RecyclerTemplateError(f"pod specification ({path}): does not contain any volume(s)")
    for field in ("volumes", "containers"):
        listed = spec.get(field) or []  # a pod without containers is for the API server to refuse
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            raise RecyclerTemplateError(f"failed decoding file: {path}: spec.{field} must be a list of objects")
    return {**pod, "metadata": metadata, "spec": spec}
