"""Which secrets go with a volume, as a class names them.

A secret that is read is read by whoever makes the call; here are names only.

Rules: docs/rules/provisioner.md#6-secrets
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import chain
from typing import Final

from msgspec import Struct

from pvbinder.model.dns_names import is_label, is_subdomain
from pvbinder.model.errors import PvbinderError
from pvbinder.model.go_values import expand, quoted
from pvbinder.rules.csi.parameters import PREFIX


class SecretKind(Enum):
    """What a secret is for; the value is how messages say it, and `new` and `old` are its keys (SE-1)."""

    PROVISIONER = "Provisioner"
    CONTROLLER_PUBLISH = "ControllerPublish"
    NODE_STAGE = "NodeStage"
    NODE_PUBLISH = "NodePublish"
    CONTROLLER_EXPAND = "ControllerExpand"
    NODE_EXPAND = "NodeExpand"
    CONTROLLER_MODIFY = "ControllerModify"

    @property
    def new(self) -> str:
        """What both keys begin with."""
        words = re.sub(r"(?<!^)(?=[A-Z])", "-", self.value).lower()
        return f"{PREFIX}{words}-secret"

    @property
    def old(self) -> str | None:
        """What both keys began with before there was a prefix; None for kinds that are younger."""
        if self in (SecretKind.CONTROLLER_EXPAND, SecretKind.NODE_EXPAND, SecretKind.CONTROLLER_MODIFY):
            return None
        return f"csi{self.value}Secret"


class SecretsError(PvbinderError):
    """The parameters of a class name no secret that there could be."""


class SecretReference(Struct, frozen=True):
    """A secret by name."""

    name: str
    namespace: str


class TemplateNames(Struct, frozen=True):
    """The names that a template may use (SE-4)."""

    volume: str
    claim: str = ""
    namespace: str = ""
    annotations: Mapping[str, str] = {}


def _keys_of(kind: SecretKind) -> tuple[tuple[str, str], ...]:
    keys = [(f"{kind.new}-name", f"{kind.new}-namespace")]
    if kind.old is not None:
        keys.append((f"{kind.old}Name", f"{kind.old}Namespace"))
    return tuple(keys)


_KEYS: Final = {kind: _keys_of(kind) for kind in SecretKind}
_DEFAULT_KEYS: Final = ((f"{PREFIX}secret-name", f"{PREFIX}secret-namespace"),)
_ALL_KEYS: Final = frozenset(chain.from_iterable(chain(_DEFAULT_KEYS, *_KEYS.values())))


def reference(kind: SecretKind, parameters: Mapping[str, str], subject: TemplateNames) -> SecretReference | None:
    """Return the secret of this kind, None if the class names none (SE-1 to SE-5); raise SecretsError."""
    template = _template(kind, parameters) if not _ALL_KEYS.isdisjoint(parameters) else None
    if template is None:
        return None
    name_template, namespace_template = template
    names = {"pv.name": subject.volume, "pvc.namespace": subject.namespace}
    namespace = resolved(namespace_template, names)
    if not is_label(namespace):
        raise SecretsError(invalid(namespace_template, namespace, "namespace name"))
    names["pvc.name"] = subject.claim
    names |= {f"pvc.annotations['{key}']": value for key, value in subject.annotations.items()}
    name = resolved(name_template, names)
    if not is_subdomain(name):
        raise SecretsError(invalid(name_template, name, "secret name"))
    return SecretReference(name, namespace)


def _template(kind: SecretKind, parameters: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the templates of name and namespace (SE-2, SE-3)."""
    what = "failed to get name and namespace template from params: "
    found = _pairs(_KEYS[kind], parameters)
    if not found:
        what = "failed to get default name and namespace template from params: "
        found = _pairs(_DEFAULT_KEYS, parameters)
        if not found:
            return None
    if len(found) > 1:
        raise SecretsError(f'{what}{kind.value} secrets specified in parameters with both "csi" and "{PREFIX}" keys')
    name, namespace = found[0]
    if name is None or namespace is None:
        raise SecretsError(
            f"{what}either name and namespace for {kind.value} secrets specified, Both must be specified"
        )
    if not name or not namespace:
        raise SecretsError(
            f"{what}{kind.value} secrets specified in parameters but value of either namespace or name is empty"
        )
    return name, namespace


def _pairs(keys: Iterable[tuple[str, str]], parameters: Mapping[str, str]) -> list[tuple[str | None, str | None]]:
    pairs = [(parameters.get(name), parameters.get(namespace)) for name, namespace in keys]
    return [pair for pair in pairs if pair != (None, None)]


def resolved(template: str, names: Mapping[str, str]) -> str:
    """Return `template` with the values of its tokens; raise SecretsError for a token that isn't among `names`."""
    unknown: set[str] = set()

    def value_of(name: str) -> str:
        if name not in names:
            unknown.add(name)
        return names.get(name, "")

    resolved = expand(template, value_of)
    if unknown:
        shown = " ".join(map(quoted, sorted(unknown)))
        raise SecretsError(f"error resolving value {quoted(template)}: invalid tokens: [{shown}]")
    return resolved


def invalid(template: str, value: str, what: str) -> str:
    """Return the text that says that what came out of `template` is no name."""
    if template == value:
        return f"{quoted(value)} is not a valid {what}"
    return f"{quoted(template)} resolved to {quoted(value)} which is not a valid {what}"
