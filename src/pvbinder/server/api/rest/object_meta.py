"""The fields of an object's metadata that the server sets: its namespace, and what an update can't change."""

from __future__ import annotations

from pvbinder.server.errors import bad_request
from pvbinder.server.objects.kind import Json


def put_in_namespace(obj: Json, namespace: str) -> None:
    """Put `obj` in the namespace of the request (GW-2)."""
    metadata = obj.setdefault("metadata", {})
    sent = metadata.get("namespace", "")
    if sent and namespace and sent != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if namespace:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)


def keep_what_is_fixed(metadata: Json, before: Json) -> None:
    """Put back what an update leaves out or never changes (GW-7)."""
    metadata["uid"] = metadata.get("uid") or before["uid"]
    metadata["resourceVersion"] = before["resourceVersion"]
    metadata["creationTimestamp"] = before["creationTimestamp"]
    metadata.pop("selfLink", None)
    if "deletionTimestamp" in before:
        metadata["deletionTimestamp"] = before["deletionTimestamp"]
    if "deletionGracePeriodSeconds" in before:
        metadata.setdefault("deletionGracePeriodSeconds", before["deletionGracePeriodSeconds"])
    if "generation" in before:
        metadata["generation"] = before["generation"]
