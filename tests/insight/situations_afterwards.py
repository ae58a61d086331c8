"""Situations of claims that are bound, or were, or are being deleted."""

from __future__ import annotations

from tests.insight.builders import (
    CSI,
    DELETED,
    HELD,
    HOST,
    ZONE,
    affinity,
    attributes_class,
    bound,
    driver,
    event,
    in_zone,
    its,
    node,
    pod,
)
from tests.insight.situation import Situation

AFTERWARDS = {
    "bound, and no node reaches the volume": Situation(
        (bound(), its(**affinity(ZONE, "eu-2")), in_zone("n1", "eu-1")),
        "VolumeUnreachable",
        ("no node satisfies its node affinity", f"{ZONE}=eu-2"),
    ),
    "bound, and the pod may not run where the volume is": Situation(
        (
            bound(),
            its(**affinity(ZONE, "eu-2")),
            in_zone("n1", "eu-1"),
            in_zone("n2", "eu-2"),
            pod(nodeSelector={HOST: "n1"}),
        ),
        "PodCannotBeScheduled",
        ("volume disk", f"{ZONE}=eu-2", "n2"),
        ("n2, where the volume is",),
    ),
    "bound, and the pod is on a node that there is not": Situation(
        (bound(), its(), node(), pod(on="n7")),
        "PodNodeMissing",
        ("node n7, which doesn't exist",),
        ("without spec.nodeName",),
    ),
    "bound, and the pod is where the volume isn't": Situation(
        (bound(), its(**affinity(HOST, "n2")), node(), node("n2"), pod(on="n1")),
        "PodOnWrongNode",
        ("only be used on n2", "on node n1"),
        ("without spec.nodeName",),
    ),
    "bound, and the volume is being deleted": Situation(
        (bound(), {**its(), "metadata": {"name": "disk", **DELETED}}),
        "VolumeIsGoing",
        ("is being deleted", "kubernetes.io/pv-protection"),
    ),
    "bound, and another node has the volume": Situation(
        (bound(), its(**CSI, hostPath=None), node(), node("n2"), pod(on="n1", phase="Running"), pod("next", on="n2")),
        "UsedOnAnotherNode",
        ("pod web on n1", "pod next is on n2"),
        ("kubectl delete pod web -n shop", "ReadWriteMany"),
    ),
    "bound, and the kubelet can't mount it": Situation(
        (
            bound(),
            its(**CSI, hostPath=None),
            node(),
            pod(on="n1"),
            event("FailedMount", "MountVolume.SetUp failed: no such device", about="Pod/web"),
        ),
        "PodCannotStart",
        ("no such device",),
    ),
    "bound, for one pod only, which is another": Situation(
        (
            bound(accessModes=["ReadWriteOncePod"]),
            its(accessModes=["ReadWriteOncePod"]),
            node(),
            pod("first", on="n1", phase="Running"),
            pod("next"),
        ),
        "PodCannotBeScheduled",
        ("ReadWriteOncePod",),
        ("kubectl delete pod first -n shop",),
    ),
    "bound, and a pod runs with it": Situation(
        (bound(), its(**affinity(HOST, "n1")), node(), pod(on="n1", phase="Running")),
        "Bound",
        ("can be used on n1", f"{HOST}=n1"),
        code=0,
    ),
    "growth that nobody does": Situation(
        (bound(resources={"requests": {"storage": "20Gi"}}), its()),
        "NobodyGrows",
        ("waits to grow to 20Gi", "nobody grows hostPath volumes"),
        ("create another claim with 20Gi",),
    ),
    "growth by a driver that there is not": Situation(
        (bound(resources={"requests": {"storage": "20Gi"}}), its(**CSI, hostPath=None), driver("other.example.com")),
        "NobodyGrows",
        ("no CSIDriver csi.example.com",),
        ("install csi.example.com",),
    ),
    "growth that waits for a pod": Situation(
        (
            bound(
                resources={"requests": {"storage": "20Gi"}},
                status={"conditions": [{"type": "FileSystemResizePending", "status": "True"}]},
            ),
            its(**CSI, hostPath=None),
            driver(),
        ),
        "GrowthWaitsForPod",
        ("its file system grows when a pod uses it",),
        ("start a pod that uses claim orders",),
    ),
    "growth that the driver refuses": Situation(
        (
            bound(resources={"requests": {"storage": "20Gi"}}),
            its(**CSI, hostPath=None),
            driver(),
            event("VolumeResizeFailed", "only supports offline expansion"),
        ),
        "GrowthFails",
        ("only supports offline expansion",),
    ),
    "growth of a volume that is in use": Situation(
        (
            bound(resources={"requests": {"storage": "20Gi"}}),
            its(**CSI, hostPath=None),
            node(),
            driver(),
            pod(on="n1", phase="Running"),
            event("VolumeResizeFailed", "CSI driver x only supports offline expansion and volume is currently in-use"),
        ),
        "GrowthFails",
        ("only supports offline expansion",),
        ("stop pod web",),
    ),
    "growth that the driver calls impossible": Situation(
        (
            bound(
                resources={"requests": {"storage": "20Gi"}},
                status={
                    "allocatedResources": {"storage": "20Gi"},
                    "allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"},
                    "conditions": [
                        {"type": "ControllerResizeError", "status": "True", "message": "rpc error: desc = too large"}
                    ],
                },
            ),
            its(**CSI, hostPath=None),
            driver(),
        ),
        "GrowthFails",
        ("too large", "after the longest pause, or at once when the claim asks for another size"),
        ("ask for less than 20Gi, but more than 10Gi",),
    ),
    "growth that may still be running after a failure": Situation(
        (
            bound(
                resources={"requests": {"storage": "15Gi"}},
                status={
                    "allocatedResources": {"storage": "20Gi"},
                    "allocatedResourceStatuses": {"storage": "ControllerResizeInProgress"},
                },
            ),
            its(**CSI, hostPath=None),
            driver(),
            event(
                "VolumeResizeFailed", 'resize volume "d" by resizer "x" failed: rpc error: code = Aborted desc = late'
            ),
        ),
        "GrowthFails",
        ("waits to grow to 15Gi, which failed: rpc error: code = Aborted desc = late",),
        ("as it may still be growing it to 20Gi",),
    ),
    "growth that the driver is at": Situation(
        (
            bound(
                resources={"requests": {"storage": "15Gi"}},
                status={
                    "allocatedResources": {"storage": "20Gi"},
                    "allocatedResourceStatuses": {"storage": "ControllerResizeInProgress"},
                },
            ),
            its(**CSI, hostPath=None),
            driver("other.example.com"),
        ),
        "Bound",
        ("waits to grow to 15Gi, and is being expanded to 20Gi first",),
        code=0,
    ),
    "growth that is on its way": Situation(
        (bound(resources={"requests": {"storage": "20Gi"}}), its(**CSI, hostPath=None), driver()),
        "Bound",
        ("waits to grow to 20Gi",),
        code=0,
    ),
    "an attributes class that nobody can change it to": Situation(
        (bound(volumeAttributesClassName="gold"), its(), attributes_class("gold")),
        "NobodyModifies",
        ("waits for attributes class gold", "only CSI drivers do"),
    ),
    "an attributes class that the driver refuses": Situation(
        (
            bound(volumeAttributesClassName="gold", status={"modifyVolumeStatus": {"status": "Infeasible"}}),
            its(**CSI, hostPath=None),
            attributes_class("gold"),
            driver(),
        ),
        "ModificationFails",
        ("waits for attributes class gold instead of none", "infeasible"),
        ("csi.example.com can change the volume to",),
    ),
    "an attributes class that the driver is at": Situation(
        (
            bound(
                volumeAttributesClassName="gold",
                status={
                    "modifyVolumeStatus": {"status": "InProgress", "targetVolumeAttributesClassName": "lead"},
                    "currentVolumeAttributesClassName": "silver",
                    "conditions": [
                        {"type": "ModifyVolumeError", "status": "True", "message": "of the try before"},
                        {
                            "type": "ModifyingVolume",
                            "status": "True",
                            "message": 'Modifying volume to "lead" is in progress.',
                        },
                    ],
                },
            ),
            its(**CSI, hostPath=None, volumeAttributesClassName="silver"),
            attributes_class("gold"),
            driver("other.example.com"),
        ),
        "Bound",
        ("waits for attributes class gold instead of silver, and is being changed to lead first",),
        code=0,
    ),
    "an attributes class that may still be under way after a failure": Situation(
        (
            bound(
                volumeAttributesClassName="gold",
                status={
                    "modifyVolumeStatus": {"status": "InProgress", "targetVolumeAttributesClassName": "gold"},
                    "currentVolumeAttributesClassName": "silver",
                },
            ),
            its(**CSI, hostPath=None, volumeAttributesClassName="silver"),
            attributes_class("gold"),
            driver(),
            event("VolumeModifyFailed", "rpc error: desc = late. Still modifying to VAC gold"),
        ),
        "ModificationFails",
        ("desc = late",),
        ("go back to silver", "as it may still be changing it to gold"),
    ),
    "an attributes class that is gone back to": Situation(
        (
            bound(
                volumeAttributesClassName="silver",
                status={
                    "modifyVolumeStatus": {"status": "Infeasible", "targetVolumeAttributesClassName": "gold"},
                    "currentVolumeAttributesClassName": "silver",
                },
            ),
            its(**CSI, hostPath=None, volumeAttributesClassName="silver"),
            attributes_class("silver"),
            driver(),
        ),
        "Bound",
        ("goes back to attributes class silver",),
        code=0,
    ),
    "an attributes class for later that there is not": Situation(
        (
            bound(volumeAttributesClassName="gold", status={"currentVolumeAttributesClassName": "silver"}),
            its(**CSI, hostPath=None, volumeAttributesClassName="silver"),
            attributes_class("silver"),
            driver(),
        ),
        "AttributesClassMissing",
        ('no VolumeAttributesClass "gold"',),
        ("go back to silver",),
    ),
    "deleted, and a finished pod is still there": Situation(
        (
            {**bound(), "metadata": {**bound()["metadata"], **HELD}},
            its(),
            pod("job", on="n1", phase="Succeeded"),
        ),
        "ProtectedByPod",
        ("kept as long as pod job uses it",),
        ("kubectl delete pod job -n shop",),
    ),
    "deleted, and a snapshot is being taken of it": Situation(
        (
            {
                **bound(),
                "metadata": {
                    **bound()["metadata"],
                    **HELD,
                    "finalizers": ["snapshot.storage.kubernetes.io/pvc-as-source-protection"],
                },
            },
            its(),
        ),
        "HeldByFinalizers",
        ("snapshot.storage.kubernetes.io/pvc-as-source-protection", "VolumeSnapshot"),
    ),
}
