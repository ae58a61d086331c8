"""Which objects of capacity there should be, and what is in them."""

from __future__ import annotations

import json

import pytest

from pvbinder.model.json import Json
from pvbinder.model.objects import StorageClass, parse_storage_class
from pvbinder.rules.csi.capacity import (
    FreeSpace,
    Pair,
    changed_object,
    is_reached,
    manager_label,
    new_object,
    pair_of,
    pairs,
    segments,
)

DRIVER = "hostpath.csi.k8s.io"
HERE = (("node", "a"),)


def class_(name: str, mode: str = "WaitForFirstConsumer", provisioner: str = DRIVER) -> StorageClass:
    document = {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode}
    return parse_storage_class(json.dumps(document).encode())


def test_ca_2_a_segment_is_what_the_keys_say_on_a_node() -> None:  # CA-2
    nodes = [
        ({"zone": "1", "rack": "x", "else": "y"}, ["zone", "rack"]),
        ({"zone": "1", "rack": "x"}, ["rack", "zone"]),
        ({"zone": "2", "rack": "x"}, ["zone", "rack"]),
        ({"zone": "3"}, ["zone", "rack"]),  # lacks a label
        ({"zone": "4"}, []),  # the driver has no keys there
    ]
    assert segments(nodes) == {(("rack", "x"), ("zone", "1")), (("rack", "x"), ("zone", "2"))}


def test_ca_2_there_is_one_for_each_class_and_segment() -> None:  # CA-2
    classes = [class_("late"), class_("now", "Immediate"), class_("other", provisioner="else")]
    assert pairs(classes, [HERE], DRIVER, for_immediate=False) == {Pair("late", HERE)}
    assert pairs(classes, [HERE, ()], DRIVER, for_immediate=True) == {
        Pair("late", HERE),
        Pair("now", HERE),
        Pair("late", ()),
        Pair("now", ()),
    }


def test_ca_1_and_ca_3_an_object() -> None:  # CA-1, CA-3
    owner: Json = {"kind": "StatefulSet", "name": "csi"}
    made = new_object(Pair("fast", HERE), FreeSpace(3 << 30, 1 << 30), DRIVER, "external-provisioner", "csi", owner)
    assert made == {
        "metadata": {
            "generateName": "csisc-",
            "namespace": "csi",
            "labels": {
                "csi.storage.k8s.io/drivername": DRIVER,
                "csi.storage.k8s.io/managed-by": "external-provisioner",
            },
            "ownerReferences": [owner],
        },
        "storageClassName": "fast",
        "nodeTopology": {"matchLabels": {"node": "a"}},
        "capacity": "3Gi",
        "maximumVolumeSize": "1Gi",
    }
    assert pair_of(made) == Pair("fast", HERE)
    plain = new_object(Pair("fast", ()), FreeSpace(5), DRIVER, "m", "csi", None)
    assert plain["nodeTopology"] == {}
    assert "maximumVolumeSize" not in plain
    assert "ownerReferences" not in plain["metadata"]
    assert pair_of(plain) == Pair("fast", ())


@pytest.mark.parametrize(
    ("room", "owner", "changes"),
    [
        (FreeSpace(3 << 30, 1 << 30), {"name": "me"}, False),
        (FreeSpace(2 << 30, 1 << 30), {"name": "me"}, True),
        (FreeSpace(3 << 30, 2 << 30), {"name": "me"}, True),
        (FreeSpace(3 << 30, None), {"name": "me"}, True),
        (FreeSpace(3 << 30, 1 << 30), {"name": "you"}, True),
        (FreeSpace(3 << 30, 1 << 30), None, True),
    ],
)
def test_ca_5_an_object_is_written_only_for_a_change(
    room: FreeSpace, owner: Json | None, changes: bool
) -> None:  # CA-5
    known = new_object(Pair("fast", HERE), FreeSpace(3 << 30, 1 << 30), DRIVER, "m", "csi", {"name": "me"})
    known["capacity"] = "3072Mi"  # the same, said otherwise
    changed = changed_object(known, room, owner)
    assert (changed is not None) == changes
    if changed is not None:
        assert pair_of(changed) == pair_of(known)
        assert changed["metadata"]["labels"] == known["metadata"]["labels"]
        assert changed_object(changed, room, owner) is None
        assert ("maximumVolumeSize" in changed) == (room.largest_bytes is not None)


def test_ca_1_who_manages_them() -> None:  # CA-1
    assert manager_label() == "external-provisioner"
    assert manager_label("worker-1") == "external-provisioner-worker-1"
    long, other = manager_label("n" * 60), manager_label("n" * 59 + "m")
    assert len(long) == len(other) == 63
    assert long != other


def test_ca_4_a_volume_is_at_a_place() -> None:  # CA-4
    here = [{"matchExpressions": [{"key": "node", "operator": "In", "values": ["a"]}]}]
    assert is_reached(HERE, here)
    assert is_reached((("node", "a"), ("zone", "1")), here)
    assert not is_reached((("node", "b"),), here)
    assert not is_reached((), here)
