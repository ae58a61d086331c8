"""Writes the status of a workload when it changes.

STATUSES-1  A status that says what is there already costs nothing.
STATUSES-2  The write names the revision that was decided about; the answer goes into the cache.
"""

from __future__ import annotations

from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Informer
from pvbinder.model.json import Json
from pvbinder.model.workloads import Workload


async def write_status(
    client: Client, informer: Informer[Workload], workload: Workload, status: Json, *, annotations: Json | None = None
) -> Workload | None:
    """Give `workload` that status, and those annotations if given; None if it was so already, or is gone."""
    document = workload.document()
    metadata = document["metadata"]
    if _plain(status) == _plain(workload.status) and annotations in (None, metadata.get("annotations") or {}):
        return None
    document["status"] = status
    if annotations is not None:
        metadata["annotations"] = annotations
    try:
        after = await client.replace(informer.kind, document, subresource="status")
    except ApiFailure as failure:
        if failure.names_as_not_found(informer.kind.resource, workload.name):
            return None
        raise
    informer.put(after)
    return after


def _plain(status: Json) -> Json:
    """A status without what means nothing."""
    return {field: value for field, value in status.items() if value not in (None, [], {}) and value != 0}
