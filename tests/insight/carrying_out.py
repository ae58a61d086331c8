"""Carries out what explain advises, on a real API server with the real binder and scheduler, as a person would.

Whoever provisions outside is played: it makes a volume for a claim that names it, as csi-provisioner does, and refuses
what that refuses.
"""

from __future__ import annotations

import json
from typing import Any, assert_never

from msgspec import structs
from tests.controllers.cluster import Cluster

from pvbinder.insight.remedies import AddClass, AddVolume, Do, Kubectl, RecreateClaim, RecreatePod, Remedy
from pvbinder.insight.remedy_manifests import PATH, PROVISIONER, manifest_of
from pvbinder.kube.client import Kind, KubernetesObject
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUMES
from pvbinder.model.json import Json
from pvbinder.model.names import SELECTED_NODE, STORAGE_PROVISIONER
from pvbinder.model.objects import Claim, claim_key

KINDS: dict[str, Kind[Any]] = {
    "pv": VOLUMES,
    "pvc": CLAIMS,
    "pod": PODS,
    "node": NODES,
    "sc": STORAGE_CLASSES,
    "storageclass": STORAGE_CLASSES,
}
DRIVER_MAKES = "maker.example.com"


async def carry_out(remedy: Remedy, claim: str, cluster: Cluster) -> None:
    """Do what `remedy` says about the claim with the key `claim`."""
    match remedy:
        case Kubectl(arguments=arguments):
            await _kubectl(list(arguments), cluster)
        case AddVolume():
            await cluster.client.create(VOLUMES, _whole(manifest_of(remedy, None)))
        case AddClass():
            await _class(remedy, cluster)
        case RecreateClaim():
            await _recreate_claim(remedy, claim, cluster)
        case RecreatePod():
            await _recreate_pod(remedy, cluster)
        case Do():
            raise AssertionError("no program can do that")
        case _:
            assert_never(remedy)


async def _kubectl(arguments: list[str], cluster: Cluster) -> None:
    """Play kubectl, for the few commands that are advised."""
    if arguments[0] == "uncordon":
        await cluster.client.patch(NODES, arguments[1], "", {"spec": {"unschedulable": None}}, patch_type="merge")
        return
    verb, kind_name, *rest = arguments
    kind, namespace = KINDS[kind_name], ""
    if "-n" in rest:
        at = rest.index("-n")
        namespace = rest[at + 1]
        del rest[at : at + 2]
    words = [word for word in rest if not word.startswith("--") and word != "-p"]
    name = words[0]
    match verb:
        case "patch":
            type_ = next(word.removeprefix("--type=") for word in rest if word.startswith("--type="))
            change = json.loads(words[1])
            await cluster.client.patch(kind, name, namespace, change, patch_type="json" if type_ == "json" else "merge")
        case "label" | "annotate":
            pairs = dict(word.split("=", 1) for word in words[1:])
            change = {"metadata": {"labels" if verb == "label" else "annotations": pairs}}
            await cluster.client.patch(kind, name, namespace, change, patch_type="merge")
        case "delete":
            for each in words:
                await cluster.client.delete(kind, each, namespace)
        case _:
            raise AssertionError(f"kubectl {verb}")


def _whole(manifest: Json | None) -> Json:
    """The manifest as a person completes it (REMEDY_MANIFESTS-1)."""
    assert manifest is not None
    if manifest["kind"] == "PersistentVolume":
        assert manifest["spec"]["hostPath"] == {"path": PATH}
        manifest["spec"]["hostPath"] = {"path": "/tmp/new"}
    if manifest["kind"] == "StorageClass":
        assert manifest["provisioner"] == PROVISIONER
        manifest["provisioner"] = DRIVER_MAKES
    return manifest


async def _class(remedy: AddClass, cluster: Cluster) -> None:
    if remedy.is_there:
        await cluster.client.delete(STORAGE_CLASSES, remedy.name)
    await cluster.client.create(STORAGE_CLASSES, _whole(manifest_of(remedy, None)))


async def _recreate_claim(remedy: RecreateClaim, key: str, cluster: Cluster) -> None:
    claims = cluster.of(CLAIMS)
    before = claims[claim_key(*key.split("/"))]
    document = _whole(manifest_of(remedy, {**before.document(), "kind": "PersistentVolumeClaim"}))
    await cluster.client.delete(CLAIMS, before.name, before.namespace)
    await cluster.until(lambda: claims.get(before.key) is None)
    await cluster.client.create(CLAIMS, document)


async def _recreate_pod(remedy: RecreatePod, cluster: Cluster) -> None:
    pods = cluster.of(PODS)
    before = pods[remedy.pod]
    document = _whole(manifest_of(structs.replace(remedy, owner=""), {**before.document(), "kind": "Pod"}))
    await cluster.client.delete(PODS, before.name, before.namespace, grace_seconds=0)
    await cluster.until(lambda: pods.get(before.key) is None)
    await cluster.client.create(PODS, document)


# ------------------------------------------------------------------------------------------------ who provisions


async def provision_outside(cluster: Cluster) -> None:
    """Make the volumes that claims ask an external provisioner for, unless csi-provisioner would refuse."""
    for claim in list(cluster.of(CLAIMS)):
        provisioner = claim.annotations.get(STORAGE_PROVISIONER)
        if claim.volume_name or not provisioner or _refuses(claim, provisioner, cluster):
            continue
        try:
            await cluster.client.create(VOLUMES, _provisioned(claim, provisioner))
        except ApiFailure as failure:
            if not failure.is_already_exists:
                raise


def _refuses(claim: Claim, provisioner: str, cluster: Cluster) -> bool:
    found = cluster.of(STORAGE_CLASSES).get(claim.storage_class)
    if found is None or found.provisioner != provisioner:
        return True
    if found.volume_binding_mode == "WaitForFirstConsumer" and not claim.annotations.get(SELECTED_NODE):
        return True
    if claim.selector is not None or claim.has_data_source:
        return True
    wanted = cluster.of(ATTRIBUTES_CLASSES).get(claim.attributes_class) if claim.attributes_class else None
    return bool(claim.attributes_class) and (wanted is None or wanted.driver_name != provisioner)


def _provisioned(claim: Claim, provisioner: str) -> Json:
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": claim.namespace, "name": claim.name}
    spec: Json = {
        "capacity": {"storage": str(claim.request)},
        "accessModes": list(claim.access_modes),
        "volumeMode": claim.volume_mode,
        "storageClassName": claim.storage_class,
        "persistentVolumeReclaimPolicy": "Delete",
        "claimRef": reference | {"uid": claim.uid},
        "csi": {"driver": provisioner, "volumeHandle": claim.uid},
    }
    if claim.attributes_class:
        spec["volumeAttributesClassName"] = claim.attributes_class
    return {"metadata": {"name": f"pvc-{claim.uid}"}, "spec": spec}


def is_bound(cluster: Cluster, key: str) -> bool:
    """Whether the claim is bound by now."""
    claim = cluster.of(CLAIMS).get(key)
    return claim is not None and claim.phase == "Bound"


__all__ = ["KubernetesObject", "carry_out", "is_bound", "provision_outside"]
