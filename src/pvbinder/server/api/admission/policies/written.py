"""A write as policies see it: what is asked for, by whom, and the object before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pvbinder.model.resources import NAMESPACES, Resource
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import UserInfo

AdmissionOperation: TypeAlias = Literal["CREATE", "UPDATE", "DELETE"]
ObjectShape: TypeAlias = Callable[[ServedKind, Json], Json]  # what policies see of an object in the form that is stored


def served_object(kind: ServedKind, obj: Json) -> Json:
    """Return an object as `kind` serves it."""
    shown = kind.from_storage(obj)
    return {**shown, "kind": kind.resource.kind, "apiVersion": kind.resource.api_version}


def as_it_is(_kind: ServedKind, obj: Json) -> Json:
    """Return an object that is shown as it was sent."""
    return obj


@dataclass(frozen=True, slots=True)
class Written:
    """A write; `kind` is the one through which it comes, `body` what its object calls itself there."""

    kind: ServedKind
    body: Resource
    operation: AdmissionOperation
    namespace: str
    name: str  # "" where the request names none
    user: UserInfo
    options: Json
    subresource: str = ""
    dry_run: bool = False
    shape: ObjectShape = served_object

    @property
    def is_about_namespace(self) -> bool:
        """Whether a namespace itself is written."""
        return self.kind.resource == NAMESPACES

    @property
    def asked_namespace(self) -> str:
        """The namespace of the request: a request for a namespace that is there is one in it."""
        if self.is_about_namespace and self.operation != "CREATE":
            return self.name
        return self.namespace

    def request(self, kind: ServedKind) -> Json:
        """Return what ``request`` says, with `kind` as the one that matched."""
        asked, matched = self.kind.resource, kind.resource
        body = matched if self.body == asked else self.body
        said: Json = {
            "kind": {"group": body.group, "version": body.version, "kind": body.kind},
            "resource": {"group": matched.group, "version": matched.version, "resource": matched.plural},
            "subResource": self.subresource,
            "requestKind": {"group": self.body.group, "version": self.body.version, "kind": self.body.kind},
            "requestResource": {"group": asked.group, "version": asked.version, "resource": asked.plural},
            "requestSubResource": self.subresource,
            "name": self.name,
            "namespace": self.asked_namespace,
        }
        said = {field: value for field, value in said.items() if value != ""}
        user = {"username": self.user.name, "uid": self.user.uid, "groups": list(self.user.groups)}
        extra = {key: list(values) for key, values in self.user.extra.items()}
        return {
            "uid": "",
            **said,
            "operation": self.operation,
            "userInfo": {field: value for field, value in {**user, "extra": extra}.items() if value},
            "dryRun": self.dry_run,
            "options": self.options,
        }
