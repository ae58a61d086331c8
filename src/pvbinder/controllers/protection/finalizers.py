"""Carrying out what `rules.protection` decides about a finalizer: one write, for every kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, assert_never

from pvbinder import logs
from pvbinder.kube.client import Client, Kind, KubernetesObject
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Informer
from pvbinder.rules.protection import AddFinalizer, KeepFinalizer, Protection, RemoveFinalizer, Settled

T = TypeVar("T", bound=KubernetesObject)

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class FinalizerWrites(Generic[T]):
    """The writes of one protection controller; `short` is the name of the kind in messages: ``PVC``."""

    client: Client
    informer: Informer[T]
    kind: Kind[T]
    short: str

    async def carry_out(self, key: str, decision: Protection) -> None:
        """Make the write that `decision` asks for; raises what the queue should retry."""
        fields: dict[str, object] = {self.short.lower(): key}
        match decision:
            case AddFinalizer(document=document, rule=rule):
                self.informer.put(await self.client.replace(self.kind, document))
                log.info(f"Added protection finalizer to {self.short}", **fields, rule=rule)
            case RemoveFinalizer(document=document, rule=rule):
                try:
                    await self.client.replace(self.kind, document)  # not put in the cache: it is the object's end
                except ApiFailure as failure:
                    if not failure.names_as_not_found(self.kind.resource, document["metadata"]["name"]):
                        log.debug(
                            f"Error removing protection finalizer from {self.short}", **fields, err=failure.message
                        )
                        raise
                    return  # somebody else took the last finalizer: the object is gone, as wanted
                log.info(f"Removed protection finalizer from {self.short}", **fields, rule=rule)
            case KeepFinalizer(user=user, rule=rule):
                log.debug(f"Keeping {self.short} because it is being used", **fields, user=user, rule=rule)
            case Settled():
                pass
            case _:
                assert_never(decision)
