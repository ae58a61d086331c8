"""The plugins in their order, and which of them a write concerns.

ADMISSION-1  Plugins run in the reference's order; the first that says no ends the write.
ADMISSION-2  A write that concerns no plugin costs one look into a table.
"""

from __future__ import annotations

from functools import lru_cache

from pvbinder.server.api.admission.certificates import (
    CERTIFICATE_REQUESTER,
    CERTIFICATE_SIGNERS,
    CERTIFICATE_SUBJECT_RESTRICTION,
)
from pvbinder.server.api.admission.ingresses import DEFAULT_INGRESS_CLASS
from pvbinder.server.api.admission.limits import LIMIT_RANGER
from pvbinder.server.api.admission.namespaces import NAMESPACE_LIFECYCLE, refuse_deletion
from pvbinder.server.api.admission.nodes import TAINT_NODES_BY_CONDITION
from pvbinder.server.api.admission.plugin import AdmissionAttributes, AdmissionFunction, Plugin, Reader
from pvbinder.server.api.admission.pods import DEFAULT_TOLERATION_SECONDS, PRIORITY
from pvbinder.server.api.admission.quotas import RESOURCE_QUOTA
from pvbinder.server.api.admission.runtime_classes import RUNTIME_CLASS
from pvbinder.server.api.admission.service_accounts import SERVICE_ACCOUNT
from pvbinder.server.api.admission.services import SERVICE_ADDRESSES
from pvbinder.server.api.admission.storage import (
    DEFAULT_STORAGE_CLASS,
    PERSISTENT_VOLUME_CLAIM_RESIZE,
    STORAGE_OBJECT_IN_USE_PROTECTION,
)
from pvbinder.server.objects.kind import Json


def ask_policies(_reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None) -> None:
    """Ask the policies of the cluster, if there are some."""
    if on.review is not None:
        on.review(new, old)


VALIDATING_ADMISSION_POLICY = Plugin(
    "ValidatingAdmissionPolicy", None, validates=ask_policies, on_update=True, on_subresources=True
)
PLUGINS: tuple[Plugin, ...] = (
    NAMESPACE_LIFECYCLE,
    LIMIT_RANGER,
    SERVICE_ACCOUNT,
    TAINT_NODES_BY_CONDITION,
    PRIORITY,
    DEFAULT_TOLERATION_SECONDS,
    DEFAULT_STORAGE_CLASS,
    STORAGE_OBJECT_IN_USE_PROTECTION,
    PERSISTENT_VOLUME_CLAIM_RESIZE,
    RUNTIME_CLASS,
    CERTIFICATE_SIGNERS,
    CERTIFICATE_SUBJECT_RESTRICTION,
    DEFAULT_INGRESS_CLASS,
    SERVICE_ADDRESSES,
    VALIDATING_ADMISSION_POLICY,
    RESOURCE_QUOTA,
)
_PREPARATIONS = tuple(plugin.prepares for plugin in PLUGINS if plugin.prepares is not None)
_STRATEGIES = (CERTIFICATE_REQUESTER,)  # no plugins in the reference, where the storage of the kind does it


def admit(reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None = None) -> None:
    """Run the plugins that may change `new`, before it is prepared and validated (GW-3).

    `old` is None for a create. Raises ApiError if a plugin refuses the write.
    """
    for step in _steps(on.resource.group, on.resource.plural, old is None, bool(on.subresource), on.disabled)[0]:
        step(reader, on, new, old)


async def prepare(reader: Reader, on: AdmissionAttributes) -> None:
    """Let the plugins prepare what they will need to know; what they find may change until they are asked."""
    for step in _PREPARATIONS:
        await step(reader, on)


def validate(reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None = None) -> None:
    """Run the plugins that check the final object, after validation (GW-3); raises ApiError to refuse it."""
    for step in _steps(on.resource.group, on.resource.plural, old is None, bool(on.subresource), on.disabled)[1]:
        step(reader, on, new, old)


def admit_delete(on: AdmissionAttributes, old: Json) -> None:
    """Raise ApiError if the object may not be deleted."""
    refuse_deletion(on)
    if on.review is not None:
        on.review(None, old)


@lru_cache(1024)
def _steps(
    group: str, plural: str, is_create: bool, is_subresource: bool, disabled: frozenset[str]
) -> tuple[tuple[AdmissionFunction, ...], tuple[AdmissionFunction, ...]]:
    concerned = [
        plugin
        for plugin in (*_STRATEGIES, *PLUGINS)
        if (plugin.resources is None or any((r.group, r.plural) == (group, plural) for r in plugin.resources))
        and (plugin.on_create if is_create else plugin.on_update)
        and (plugin.on_subresources or not is_subresource)
        and plugin.name not in disabled
    ]
    return (
        tuple(plugin.admits for plugin in concerned if plugin.admits is not None),
        tuple(plugin.validates for plugin in concerned if plugin.validates is not None),
    )
