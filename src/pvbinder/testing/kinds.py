"""The resource that a word or an object means, as the cluster's discovery has it: custom kinds included.

KINDS-1  A word is a kind, a plural, a plural with its group, or kubectl's short name, in any case.
KINDS-2  A kind that isn't known is asked for once more: it may have been defined meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pvbinder.kube.client import Client
from pvbinder.kube.discovery import discover
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import Resource

SHORT_NAMES: Final[Mapping[str, str]] = {
    "cj": "cronjobs",
    "cm": "configmaps",
    "crd": "customresourcedefinitions",
    "deploy": "deployments",
    "ds": "daemonsets",
    "ev": "events",
    "no": "nodes",
    "ns": "namespaces",
    "pdb": "poddisruptionbudgets",
    "po": "pods",
    "pv": "persistentvolumes",
    "pvc": "persistentvolumeclaims",
    "quota": "resourcequotas",
    "rs": "replicasets",
    "sa": "serviceaccounts",
    "sc": "storageclasses",
    "sts": "statefulsets",
    "svc": "services",
    "vac": "volumeattributesclasses",
}


class UnknownKindError(PvbinderError):
    """The cluster serves no such kind."""


class Kinds:
    """What a cluster serves."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: tuple[Resource, ...] = ()

    async def of_word(self, word: str) -> Resource:
        """Return the resource that `word` means (KINDS-1), or raise `UnknownKindError`."""
        wanted = word.lower()
        wanted = SHORT_NAMES.get(wanted, wanted)

        def fits(one: Resource) -> bool:
            names = (one.plural, one.kind.lower(), one.qualified, f"{one.kind.lower()}.{one.group}")
            return wanted in names

        return await self._find(fits, f"{word!r}")

    async def of_document(self, document: Mapping[str, Any]) -> Resource:
        """Return the resource of an object by its ``apiVersion`` and ``kind``, or raise `UnknownKindError`."""
        version, kind = document.get("apiVersion"), document.get("kind")
        if not version or not kind:
            raise UnknownKindError(f"an object without {'apiVersion' if not version else 'kind'}: {document!r:.200}")

        def fits(one: Resource) -> bool:
            return bool(one.kind == kind and one.api_version == version)

        def fits_group(one: Resource) -> bool:
            return one.kind == kind and one.group == str(version).rpartition("/")[0]

        try:
            return await self._find(fits, f"{kind} of {version}")
        except UnknownKindError:
            found = next(filter(fits_group, self._known), None)
            if found is None:
                raise
            return Resource(found.group, str(version).rpartition("/")[2], found.kind, found.plural, found.namespaced)

    async def _find(self, fits: Callable[[Resource], bool], what: str) -> Resource:
        found = next(filter(fits, self._known), None)
        if found is None:
            self._known = tuple(one.resource for one in (await discover(self._client)).kinds)
            found = next(filter(fits, self._known), None)
        if found is None:
            raise UnknownKindError(f"the cluster serves no kind {what}")
        return found
