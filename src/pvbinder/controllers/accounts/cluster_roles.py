"""The clusterrole-aggregation-controller: roles with an ``aggregationRule`` have the rules of the roles it selects.

AGGREGATION-1  Its rules are those of all selected roles, selector by selector and by name, each rule once; rules of its
               own are taken away.
AGGREGATION-2  It follows when a role comes, changes or goes, also through roles that gather rules themselves.
AGGREGATION-3  Nothing is written when nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.kube.informer import Change
from pvbinder.kube.kinds import Metadata, metadata_of
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.json import Json
from pvbinder.model.resources import CLUSTER_ROLES
from pvbinder.model.selectors import LabelSelector

CONCURRENCY: Final = 5
MANAGER: Final = "clusterrole-aggregation-controller"
_ROLES: Final = metadata_of(CLUSTER_ROLES)

log = logs.get(__name__)


class ClusterRoleAggregation:
    """Fills cluster roles with the rules of others."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._roles = context.informers.of(_ROLES)
        self._gathering = self._roles.add_index("gathers", lambda role: ("yes",) if selectors_of(role) else ())
        self._queue: WorkQueue[str] = WorkQueue(
            "clusterrole_aggregation",
            self.sync,
            history=context.informers.history,
            concurrency=CONCURRENCY,
            failure_message="could not gather the rules of cluster role",
            key_field="role",
        )
        self._roles.add_handler(self._role_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._roles.wait_synced()
        await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    async def sync(self, name: str) -> None:
        """Give one role the rules that it gathers (AGGREGATION-1)."""
        role = self._roles.get(name)
        if role is None:
            return
        selectors = selectors_of(role)
        document = role.document()
        rules = gather(name, selectors, self._roles)
        if not selectors or rules == (document.get("rules") or []):
            return  # AGGREGATION-3
        change: Json = {"apiVersion": CLUSTER_ROLES.api_version, "kind": CLUSTER_ROLES.kind, "metadata": {"name": name}}
        query = {"fieldManager": MANAGER, "force": "true"}
        written = await self._client.patch(
            _ROLES, name, "", {**change, "rules": rules}, patch_type="apply", query=query
        )
        self._roles.put(written)
        log.debug("rules gathered", role=name, rules=len(rules))

    def _role_changed(self, _change: Change[Metadata]) -> None:
        for role in self._gathering["yes"]:  # AGGREGATION-2
            self._queue.add(role.name)


def selectors_of(role: Metadata) -> list[LabelSelector]:
    """Return what selects the roles whose rules `role` gathers; none if it gathers nothing."""
    rule = role.document().get("aggregationRule") or {}
    return [msgspec.convert(selector, LabelSelector) for selector in rule.get("clusterRoleSelectors") or ()]


def gather(name: str, selectors: Iterable[LabelSelector], roles: Iterable[Metadata]) -> list[Json]:
    """Return the rules of all `roles` that `selectors` choose, but of `name` itself (AGGREGATION-1)."""
    by_name = {role.name: role.document() for role in sorted(roles, key=lambda role: role.name) if role.name != name}
    rules: list[Any] = []
    for selector in selectors:
        for document in by_name.values():
            if selector.matches(document["metadata"].get("labels") or {}):
                rules += (rule for rule in document.get("rules") or () if rule not in rules)
    return rules
