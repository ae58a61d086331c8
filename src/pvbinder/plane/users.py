"""The users of the controllers at the API server of the same process.

USERS-1  A controller is the user that it is in a cluster, with the rights that the default roles give it, and no more.

The reference's kubelets are nodes, with an authoriser of their own. The one in small plays them all, as a service
account that is given the role ``system:node`` where it runs (`bind_kubelet`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from pvbinder.controllers.csi.declaration import USER as CSI_USER
from pvbinder.controllers.csi.rights import rules_of
from pvbinder.controllers.csi.roles import ROLES, SidecarRole
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, Resource
from pvbinder.server.identity.authentication import AUTHENTICATED, SERVICE_ACCOUNT, service_account_groups
from pvbinder.server.kinds.built_in.rbac import GROUP
from pvbinder.server.requests import UserInfo

NAMESPACE: Final = "kube-system"
KUBELET: Final = "kubelet"
KUBELET_BINDING: Final = "pvbinder:kubelet"


def user_of(name: str) -> UserInfo:
    """Return the user called `name` (``system:…``), or the service account of that name in ``kube-system``."""
    if name.startswith("system:"):
        return UserInfo(name, groups=(AUTHENTICATED,))
    groups = (*service_account_groups(NAMESPACE), AUTHENTICATED)
    return UserInfo(f"{SERVICE_ACCOUNT}{NAMESPACE}:{name}", groups=groups)


async def bind_kubelet(client: Client) -> None:
    """Give the kubelet in small the rights of a node, unless it has them."""
    document: Json = {
        "metadata": {"name": KUBELET_BINDING},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "system:node"},
        "subjects": [{"kind": "ServiceAccount", "name": KUBELET, "namespace": NAMESPACE}],
    }
    await _ensure(client, CLUSTER_ROLE_BINDINGS, document)


async def bind_csi(client: Client, roles: Iterable[SidecarRole] = ROLES) -> None:
    """Give the sidecars of CSI drivers the rights of their roles, unless they have them."""
    async with asyncio.TaskGroup() as group:  # the disk is synced once for all that is written together
        for role in roles:
            name = f"pvbinder:csi-{role.name}"
            granted = rules_of(one for one in role.rights if not one.by_flag)
            rules: Json = {"metadata": {"name": name}, "rules": granted}
            binding: Json = {
                "metadata": {"name": name},
                "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": CSI_USER, "namespace": NAMESPACE}],
            }
            group.create_task(_ensure(client, CLUSTER_ROLES, rules))
            group.create_task(_ensure(client, CLUSTER_ROLE_BINDINGS, binding))


async def _ensure(client: Client, resource: Resource, document: Json) -> None:
    try:
        await client.create(metadata_of(resource), document)
    except ApiFailure as failure:
        if not failure.is_already_exists:
            raise
