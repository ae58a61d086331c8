"""The names and keys of objects: one type for each kind, so that mypy tells them apart."""

from __future__ import annotations

from typing import NewType

VolumeName = NewType("VolumeName", str)
ClaimKey = NewType("ClaimKey", str)  # namespace/name
ClassName = NewType("ClassName", str)
AttributesClassName = NewType("AttributesClassName", str)
PodKey = NewType("PodKey", str)  # namespace/name
NodeName = NewType("NodeName", str)


def claim_key(namespace: str, name: str) -> ClaimKey:
    """Return the key of the claim `name` in `namespace`."""
    return ClaimKey(f"{namespace}/{name}")
