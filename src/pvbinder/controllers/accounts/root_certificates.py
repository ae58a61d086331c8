"""The root-ca-certificate-publisher-controller: each namespace has the certificate that makes the server trusted.

ROOT_CA-1  A namespace that is active gets the config map ``kube-root-ca.crt``, and gets it back as it was, whoever
           deletes it or changes its data.
ROOT_CA-2  A namespace that is ending gets nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pvbinder import logs
from pvbinder.controllers.accounts.default_accounts import is_active, is_ending
from pvbinder.controllers.context import ControllerContext, Credentials
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import NAMESPACES, Metadata, metadata_of
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS

NAME: Final = "kube-root-ca.crt"
DESCRIPTION: Final = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
_DESCRIPTION_KEY: Final = "kubernetes.io/description"
CONCURRENCY: Final = 5
MAPS: Final = metadata_of(CONFIG_MAPS)

log = logs.get(__name__)


class RootCertificates:
    """Publishes the server's root certificate in every namespace."""

    def __init__(self, context: ControllerContext, credentials: Credentials) -> None:
        self._client = context.client
        self._data = {"ca.crt": credentials.root_certificate}
        self._namespaces = context.informers.of(NAMESPACES)
        self._maps = context.informers.of(MAPS)
        self._queue: WorkQueue[str] = WorkQueue(
            "root_ca_cert_publisher",
            self.sync,
            history=context.informers.history,
            concurrency=CONCURRENCY,
            failure_message="could not publish the root certificate in namespace",
            key_field="namespace",
        )
        self._namespaces.add_handler(self._namespace_changed)
        self._maps.add_handler(self._map_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._namespaces.wait_synced()
        await self._maps.wait_synced()
        await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    async def sync(self, namespace: str) -> None:
        """Bring the config map of one namespace about (ROOT_CA-1, ROOT_CA-2)."""
        if not is_active(self._namespaces.get(namespace)):
            return
        there = self._maps.get(f"{namespace}/{NAME}")
        metadata: Json = {"name": NAME, "namespace": namespace, "annotations": {_DESCRIPTION_KEY: DESCRIPTION}}
        try:
            if there is None:
                self._maps.put(await self._client.create(MAPS, {"metadata": metadata, "data": self._data}))
                return
            document = there.document()
            annotations = document["metadata"].get("annotations") or {}
            if document.get("data") == self._data and annotations.get(_DESCRIPTION_KEY):
                return
            document["data"] = self._data
            document["metadata"]["annotations"] = {**annotations, _DESCRIPTION_KEY: DESCRIPTION}
            self._maps.put(await self._client.replace(MAPS, document))
            log.info("root certificate put right", namespace=namespace)
        except ApiFailure as failure:
            if not (failure.is_already_exists or is_ending(failure)):
                raise

    def _namespace_changed(self, change: Change[Metadata]) -> None:
        if not isinstance(change, Deleted):
            self._queue.add(change.object.name)

    def _map_changed(self, change: Change[Metadata]) -> None:
        if change.object.name == NAME:
            self._queue.add(change.object.namespace)
