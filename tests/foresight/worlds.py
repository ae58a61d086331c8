"""Small clusters as manifests, and what the tests of foresight ask about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pvbinder.controllers.options import ControllerOptions
from pvbinder.foresight.plan import ManifestPlan
from pvbinder.foresight.plan import plan as foresee
from pvbinder.foresight.preparing import Prepared, prepare
from pvbinder.foresight.rehearse import Rehearsed
from pvbinder.foresight.rehearse import rehearse as foresee_steps
from pvbinder.foresight.steps import parse_step
from pvbinder.model.json import Json

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
FILES: dict[str, list[tuple[str, Json]]] = {}


def volume(name: str, size: str = "10Gi", storage_class: str = "slow", **spec: object) -> Json:
    source = {} if "csi" in spec else {"hostPath": {"path": f"/tmp/{name}"}}
    fields = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": storage_class}
    policy = {"persistentVolumeReclaimPolicy": "Retain"}
    metadata: Json = {"name": name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": metadata,
        "spec": fields | policy | source | spec,
    }


def claim(name: str, size: str = "5Gi", storage_class: str | None = "slow", **spec: object) -> Json:
    fields: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class is not None:
        fields["storageClassName"] = storage_class
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": fields | spec}


def storage_class(name: str = "fast", provisioner: str = "d.example.com", **fields: object) -> Json:
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    return head | {"provisioner": provisioner} | fields


def delayed(name: str = "fast") -> Json:
    return storage_class(name, volumeBindingMode="WaitForFirstConsumer")


def node(name: str, zone: str = "a") -> Json:
    labels = {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def csi_node(name: str, driver: str = "d.example.com", keys: Sequence[str] = ("topology.kubernetes.io/zone",)) -> Json:
    spec = {"drivers": [{"name": driver, "nodeID": name, "topologyKeys": list(keys)}]}
    return {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": name}, "spec": spec}


def pod(name: str, *claims: str, node_name: str = "") -> Json:
    volumes = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in claims]
    mounts = [{"name": one, "mountPath": f"/{one}"} for one in claims]
    spec: Json = {"containers": [{"name": "c", "image": "i", "volumeMounts": mounts}], "volumes": volumes}
    if node_name:
        spec["nodeName"] = node_name
    metadata = {"name": name, "namespace": "shop", "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def stateful_set(name: str = "db", replicas: int = 2, storage_class: str = "fast") -> Json:
    template = claim("data", storage_class=storage_class)
    labels = {"app": name}
    spec = {
        "replicas": replicas,
        "serviceName": name,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]
            },
        },
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": template["spec"]}],
    }
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


def namespaced(kind: str, name: str, spec: Json, api_version: str = "v1") -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def sourced(*documents: Json) -> list[tuple[str, Json]]:
    return [("the test", one) for one in documents]


def prepared(*documents: Json) -> Prepared:
    return prepare(sourced(*documents), read_at=MONDAY)


def plan(world: Sequence[Json], *new: Json, options: ControllerOptions | None = None) -> ManifestPlan:
    return foresee(prepared(*world), sourced(*new), namespace="shop", options=options)


def rehearse(world: Sequence[Json], *steps: str, files: dict[str, list[Json]] | None = None) -> Rehearsed:
    found = {name: sourced(*documents) for name, documents in (files or {}).items()}
    parsed = [(text, parse_step(text)) for text in steps]
    return foresee_steps(prepared(*world), parsed, lambda names: [one for name in names for one in found[name]])


def outcome(answer: ManifestPlan, name: str) -> str:
    """Return in one word what the claim gets, with the volume's name if it was there before."""
    one = next(each for each in answer.claims if each.claim == f"shop/{name}")
    return {"Binds": f"Binds {one.volume}", "Provisioned": f"Provisioned {one.provisioner}"}.get(one.result, one.result)


def after(done: Rehearsed, name: str) -> str:
    """Return the phase and the partner of an object that changed."""
    one = next(each for each in done.differences if each.name == name)
    return "gone" if one.after is None else f"{one.after.phase} {one.after.partner}".rstrip()
