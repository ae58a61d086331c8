"""Which CSI volumes of a pod are mounted, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, ClaimKey, Pod, Volume, parse_claim, parse_pod, parse_volume
from pvbinder.rules.csi.capabilities import AccessMode, Capability
from pvbinder.rules.csi.publishing import (
    MountModeError,
    PodCsiVolume,
    capability,
    csi_volumes,
    fs_group,
    lifecycle_problem,
    pod_info,
)
from pvbinder.rules.csi.secrets import SecretReference

DRIVER = "csi.example.com"
SOURCE = {"driver": DRIVER, "volumeHandle": "h-1"}


class World:
    """One claim, `data`, and its volume."""

    def __init__(self, source: Json | None = None, **spec: Any) -> None:
        self._claim = parse_claim(encode({"metadata": {"name": "data"}, "spec": {"volumeName": "pv-1"}}))
        self._volume = parse_volume(encode({"metadata": {"name": "pv-1"}, "spec": {"csi": source or SOURCE, **spec}}))

    def claim(self, key: ClaimKey) -> Claim | None:
        return self._claim if key == "shop/data" else None

    def volume(self, name: str) -> Volume | None:
        return self._volume if name == "pv-1" else None


def pod(volume: Json, mounts: str = "volumeMounts", group: str = "containers", **spec: Any) -> Pod:
    container = {"name": "c", mounts: [{"name": "v"}]}
    whole = {"serviceAccountName": "robot", group: [container], "volumes": [{"name": "v", **volume}], **spec}
    return parse_pod(encode({"metadata": {"name": "web", "namespace": "shop", "uid": "u-1"}, "spec": whole}))


USING: Json = {"persistentVolumeClaim": {"claimName": "data"}}
PLAIN = PodCsiVolume("pv-1", DRIVER, "h-1")
FOUND: Mapping[str, tuple[Pod, World, tuple[PodCsiVolume, ...]]] = {
    "a claim's": (pod(USING), World(), (PLAIN,)),
    "only an init container mounts it": (pod(USING, group="initContainers"), World(), (PLAIN,)),
    "nobody mounts it": (pod(USING, mounts="nothing"), World(), ()),
    "another driver's": (pod(USING), World({"driver": "other", "volumeHandle": "h"}), ()),
    "no claim": (pod({"emptyDir": {}}), World(), ()),
    "read-only is said in the pod": (
        pod({"persistentVolumeClaim": {"claimName": "data", "readOnly": True}}),
        World(),
        (PodCsiVolume("pv-1", DRIVER, "h-1", read_only=True),),
    ),
    "all of it": (
        pod(USING),
        World(
            {
                **SOURCE,
                "fsType": "xfs",
                "volumeAttributes": {"a": "b"},
                "nodeStageSecretRef": {"name": "s", "namespace": "one"},
                "nodePublishSecretRef": {"name": "p", "namespace": "two"},
                "nodeExpandSecretRef": {"name": "e", "namespace": "three"},
            },
            mountOptions=["noatime"],
            accessModes=["ReadWriteMany"],
        ),
        (
            PodCsiVolume(
                "pv-1",
                DRIVER,
                "h-1",
                access_mode="ReadWriteMany",
                fs_type="xfs",
                mount_flags=("noatime",),
                attributes={"a": "b"},
                stage_secret=SecretReference("s", "one"),
                publish_secret=SecretReference("p", "two"),
                expand_secret=SecretReference("e", "three"),
            ),
        ),
    ),
    "a device": (
        pod(USING, mounts="volumeDevices"),
        World(volumeMode="Block"),
        (PodCsiVolume("pv-1", DRIVER, "h-1", is_block=True),),
    ),
    "inline": (
        pod({"csi": {"driver": DRIVER, "readOnly": True, "nodePublishSecretRef": {"name": "p"}}}),
        World(),
        (
            PodCsiVolume(
                "v",
                DRIVER,
                "csi-54e4a2795add1ece7addc064e12cf22ce057736d58edc244244872693ca52848",
                read_only=True,
                publish_secret=SecretReference("p", "shop"),
                is_ephemeral=True,
            ),
        ),
    ),
}


@pytest.mark.parametrize(("one", "world", "found"), FOUND.values(), ids=FOUND.keys())
def test_csi_volumes(one: Pod, world: World, found: tuple[PodCsiVolume, ...]) -> None:
    assert csi_volumes(one, world, {DRIVER}.__contains__) == found


@pytest.mark.parametrize(
    ("mounts", "mode", "words"),
    [
        ("volumeMounts", "Block", "volume v has volumeMode Block, but is specified in volumeMounts"),
        ("volumeDevices", "Filesystem", "volume v has volumeMode Filesystem, but is specified in volumeDevices"),
    ],
)
def test_a_volume_is_used_as_it_can_be(mounts: str, mode: str, words: str) -> None:
    with pytest.raises(MountModeError, match=words):
        csi_volumes(pod(USING, mounts=mounts), World(volumeMode=mode), {DRIVER}.__contains__)


@pytest.mark.parametrize(
    ("mode", "several", "wanted"),
    [
        ("ReadWriteOnce", False, AccessMode.SINGLE_NODE_WRITER),
        ("ReadWriteOnce", True, AccessMode.SINGLE_NODE_MULTI_WRITER),
        ("ReadWriteOncePod", True, AccessMode.SINGLE_NODE_SINGLE_WRITER),
        ("ReadOnlyMany", True, AccessMode.MULTI_NODE_READER_ONLY),
        ("Nonsense", True, AccessMode.SINGLE_NODE_WRITER),
    ],
)
def test_capability(mode: str, several: bool, wanted: AccessMode) -> None:
    volume = PodCsiVolume("pv-1", DRIVER, "h-1", access_mode=mode, fs_type="xfs", mount_flags=("ro",))
    assert capability(volume, several_writers=several) == Capability(wanted, False, "xfs", ("ro",))


def test_pod_info() -> None:
    assert pod_info(pod(USING), is_ephemeral=False) == {
        "csi.storage.k8s.io/pod.name": "web",
        "csi.storage.k8s.io/pod.namespace": "shop",
        "csi.storage.k8s.io/pod.uid": "u-1",
        "csi.storage.k8s.io/serviceAccount.name": "robot",
        "csi.storage.k8s.io/ephemeral": "false",
    }


@pytest.mark.parametrize(
    ("is_ephemeral", "csi_driver", "problem"),
    [
        (False, None, None),
        (True, None, f'volume mode "Ephemeral" not supported by driver {DRIVER} (no CSIDriver object)'),
        (False, {"spec": {}}, None),
        (
            True,
            {"spec": {"volumeLifecycleModes": ["Persistent"]}},
            f'volume mode "Ephemeral" not supported by driver {DRIVER} (only supports ["Persistent"])',
        ),
        (True, {"spec": {"volumeLifecycleModes": ["Persistent", "Ephemeral"]}}, None),
    ],
)
def test_lifecycle_problem(is_ephemeral: bool, csi_driver: Json | None, problem: str | None) -> None:
    assert lifecycle_problem(PodCsiVolume("v", DRIVER, "h", is_ephemeral=is_ephemeral), csi_driver) == problem


def test_fs_group() -> None:
    assert fs_group(pod(USING)) == ""
    assert fs_group(pod(USING, securityContext={"fsGroup": 0})) == "0"
