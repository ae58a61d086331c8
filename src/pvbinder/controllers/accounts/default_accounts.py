"""The serviceaccount-controller: every namespace has an account called ``default``, and gets it back.

ACCOUNTS-1  A namespace that is active gets the account when it comes, and when the account goes.
ACCOUNTS-2  A namespace that is ending gets nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import NAMESPACES, Metadata, metadata_of
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.resources import SERVICE_ACCOUNTS

DEFAULT: Final = "default"
CONCURRENCY: Final = 5
ACCOUNTS: Final = metadata_of(SERVICE_ACCOUNTS)

log = logs.get(__name__)


class DefaultAccounts:
    """Makes the accounts called ``default``."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._namespaces = context.informers.of(NAMESPACES)
        self._accounts = context.informers.of(ACCOUNTS)
        self._queue: WorkQueue[str] = WorkQueue(
            "serviceaccount",
            self.sync,
            history=context.informers.history,
            concurrency=CONCURRENCY,
            failure_message="could not make the default account of namespace",
            key_field="namespace",
        )
        self._namespaces.add_handler(self._namespace_changed)
        self._accounts.add_handler(self._account_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._namespaces.wait_synced()
        await self._accounts.wait_synced()
        await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    async def sync(self, name: str) -> None:
        """Make the account of one namespace, if it lacks it (ACCOUNTS-1, ACCOUNTS-2)."""
        if f"{name}/{DEFAULT}" in self._accounts or not is_active(self._namespaces.get(name)):
            return
        document = {"metadata": {"name": DEFAULT, "namespace": name}}
        try:
            self._accounts.put(await self._client.create(ACCOUNTS, document))
        except ApiFailure as failure:
            if not (failure.is_already_exists or is_ending(failure)):
                raise
        else:
            log.debug("account made", namespace=name, account=DEFAULT)

    def _namespace_changed(self, change: Change[Metadata]) -> None:
        if not isinstance(change, Deleted):
            self._queue.add(change.object.name)

    def _account_changed(self, change: Change[Metadata]) -> None:
        if isinstance(change, Deleted) and change.object.name == DEFAULT:
            self._queue.add(change.object.namespace)


def is_active(namespace: Metadata | None) -> bool:
    """Tell whether something can be made in `namespace`."""
    if namespace is None or namespace.is_deleting:
        return False
    return bool((namespace.document().get("status") or {}).get("phase", "Active") == "Active")


def is_ending(failure: ApiFailure) -> bool:
    """Tell whether a create was refused because its namespace is ending or gone."""
    return failure.is_not_found or (failure.status == 403 and "it is being terminated" in failure.message)
