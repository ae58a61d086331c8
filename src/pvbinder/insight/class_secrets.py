"""The secrets that a class names: which there must be for its claims, and which of its templates make no sense.

CLASS_SECRETS-1  A template is worked out for claims that wait for a volume of the class, as the provisioner does it.
                 The name of a volume isn't known before it is made: a template with it names no secret here.
CLASS_SECRETS-2  A template that no claim could be right for is found without a claim, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from pvbinder.model.objects import Claim, StorageClass
from pvbinder.rules.csi.parameters import PREFIX
from pvbinder.rules.csi.secrets import SecretKind, SecretReference, SecretsError, TemplateNames, reference

CLAIMS_MAX: Final = 50  # of a class, whose secrets are worked out
_ANNOTATION: Final = re.compile(r"pvc\.annotations\['([^']*)'\]")
_VOLUME: Final = "pv.name"
_UNKNOWN: Final = "a"  # any name will do to see whether a template makes sense


class NamedSecret(Struct, frozen=True):
    """A secret that a parameter of a class names, for `claim` (namespace/name) if it names another for each claim."""

    key: str
    secret: SecretReference
    claim: str = ""


class UnresolvedSecret(Struct, frozen=True):
    """A parameter of a class that names no secret, and why."""

    key: str
    problem: str
    claim: str = ""


def secrets_of(storage_class: StorageClass, waiting: Iterable[Claim]) -> Iterator[NamedSecret | UnresolvedSecret]:
    """Yield the secrets that `storage_class` names; `waiting` are the claims of it that have no volume yet."""
    claims = list(waiting)[:CLAIMS_MAX]
    seen: set[NamedSecret | UnresolvedSecret] = set()
    for kind in SecretKind:
        keys = _keys(kind, storage_class)
        if keys is None:
            continue
        for one in _of_kind(kind, keys[0], keys[1], storage_class, claims):
            if one not in seen:
                seen.add(one)
                yield one


def _of_kind(
    kind: SecretKind, key: str, template: str, storage_class: StorageClass, claims: list[Claim]
) -> Iterator[NamedSecret | UnresolvedSecret]:
    annotations = dict.fromkeys(_ANNOTATION.findall(template), _UNKNOWN)
    anybody = TemplateNames(_UNKNOWN, _UNKNOWN, _UNKNOWN, annotations)
    try:
        found = reference(kind, storage_class.parameters, anybody)
    except SecretsError as error:
        yield UnresolvedSecret(key, error.message)  # CLASS_SECRETS-2
        return
    if "$" not in template:
        if found is not None:
            yield NamedSecret(key, found)
        return
    if _VOLUME in template:
        return  # CLASS_SECRETS-1
    for claim in claims:
        try:
            names = TemplateNames(_UNKNOWN, claim.name, claim.namespace, claim.annotations)
            found = reference(kind, storage_class.parameters, names)
        except SecretsError as error:
            yield UnresolvedSecret(key, error.message, claim.key)
        else:
            if found is not None:
                yield NamedSecret(key, found, claim.key)


def _keys(kind: SecretKind, storage_class: StorageClass) -> tuple[str, str] | None:
    """The key of the name of this kind's secret, and both templates; None if there aren't both."""
    pairs = [(f"{kind.new}-name", f"{kind.new}-namespace")]
    if kind.old is not None:
        pairs.append((f"{kind.old}Name", f"{kind.old}Namespace"))
    pairs.append((f"{PREFIX}secret-name", f"{PREFIX}secret-namespace"))
    parameters = storage_class.parameters
    for name, namespace in pairs:
        if name in parameters and namespace in parameters:
            return name, f"{parameters[name]} {parameters[namespace]}"
        if name in parameters or namespace in parameters:
            return None  # one without the other: that is said of the class itself
    return None
