"""The objects we read, as frozen views: flat, typed, decoded at C speed, with rules about their fields as properties.

OBJECTS-1  A view carries the object's own JSON (`raw`): a write starts from it, so nothing we don't know is lost. Those
           of caches come without the owners of fields, which such a write leaves as they are (KEPT-2).
OBJECTS-2  Absent and null are the same; an absent list or map is empty. None means "not set" only where that decides
           something: a claim reference, a deletion timestamp, a volume's capacity.
OBJECTS-3  What is no such object (wrong types, an impossible quantity) is `MalformedObjectError`, naming it and the
           field.

One file a kind: the structs that its JSON is decoded into, the view, and the function that makes one of the other
(`parse_claim`); `view` has what they share, for the other views of the model, too, and `kept` the form in which caches
keep their JSON. The names below are the room's.

Views are immutable and shared by everyone; nothing in them may be changed in place, labels and annotations included.
They hold no cycles, so the garbage collector leaves them out (``gc=False``): with 100 000 volumes in a cache a full
collection takes 30 ms instead of 224, and filling the cache is more than twice as fast.
"""

from __future__ import annotations

from pvbinder.model.objects.attributes_class import VolumeAttributesClass, parse_volume_attributes_class
from pvbinder.model.objects.claim import Claim, Condition, parse_claim
from pvbinder.model.objects.keys import (
    AttributesClassName,
    ClaimKey,
    ClassName,
    NodeName,
    PodKey,
    VolumeName,
    claim_key,
)
from pvbinder.model.objects.node import Node, parse_node
from pvbinder.model.objects.pod import Pod, PodVolume, parse_pod
from pvbinder.model.objects.storage_class import StorageClass, parse_storage_class
from pvbinder.model.objects.view import IdentityMeta, MalformedObjectError, ObjectMeta, OwnerReference, View
from pvbinder.model.objects.volume import ClaimRef, CsiSource, HostPathSource, NfsSource, Volume, parse_volume

__all__ = [
    "AttributesClassName",
    "Claim",
    "ClaimKey",
    "ClaimRef",
    "ClassName",
    "Condition",
    "CsiSource",
    "HostPathSource",
    "IdentityMeta",
    "MalformedObjectError",
    "NfsSource",
    "Node",
    "NodeName",
    "ObjectMeta",
    "OwnerReference",
    "Pod",
    "PodKey",
    "PodVolume",
    "StorageClass",
    "View",
    "Volume",
    "VolumeAttributesClass",
    "VolumeName",
    "claim_key",
    "parse_claim",
    "parse_node",
    "parse_pod",
    "parse_storage_class",
    "parse_volume",
    "parse_volume_attributes_class",
]
