"""The remedies that a person can carry out, as values: each has its sentence, and a program can carry it out.

REMEDY-1  A remedy holds all that is needed to carry it out: the tests carry each out, and the claim then binds.
REMEDY-2  `Kubectl` is a command that can be typed as it is shown, whatever its names and values contain.

`Do` is for work outside the API: on a driver, a disk, or a decision of people.
"""

from __future__ import annotations

import json
import shlex
from typing import Any, TypeAlias, assert_never

from msgspec import Struct

from pvbinder.insight.wording import named
from pvbinder.model.access_modes import short_modes
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Pod, Volume
from pvbinder.rules.matching import shown_selector


class Kubectl(Struct, frozen=True, tag_field="do", tag="kubectl"):
    """Type this command; `why` says its effect."""

    why: str
    arguments: tuple[str, ...]


class AddVolume(Struct, frozen=True, tag_field="do", tag="addVolume", rename="camel"):
    """Make a PersistentVolume that serves the claim; `name` if it must have that one, `node` if it must be there."""

    storage: str
    access_modes: tuple[str, ...]
    volume_mode: str
    storage_class: str
    attributes_class: str = ""
    labels: dict[str, str] = {}
    selector: str = ""  # the claim's selector, in words; `labels` satisfy it where labels can
    name: str = ""
    node: str = ""
    claim_uid: str = ""  # the UID for its claimRef
    claim: str = ""  # namespace/name for its claimRef


class AddClass(Struct, frozen=True, tag_field="do", tag="addClass", rename="camel"):
    """Make a StorageClass of this name, or make it anew; `why` is the rest of the sentence."""

    name: str
    why: str
    is_there: bool = False


class RecreateClaim(Struct, frozen=True, tag_field="do", tag="recreateClaim", rename="camel"):
    """Create the claim anew with the fields set here: the spec of an unbound claim can't be changed (VU-8)."""

    storage_max: str = ""
    storage_class: str | None = None
    access_modes: tuple[str, ...] = ()
    volume_mode: str = ""
    attributes_class: str | None = None
    without: tuple[str, ...] = ()  # fields of the spec to leave out
    because: str = ""


class RecreatePod(Struct, frozen=True, tag_field="do", tag="recreatePod", rename="camel"):
    """Create the pod anew, or change its `owner`: `without` these fields, with this node selector."""

    pod: str
    without: tuple[str, ...] = ()
    node_selector: dict[str, str] = {}
    owner: str = ""
    because: str = ""


class Do(Struct, frozen=True, tag_field="do", tag="something"):
    """Do what the sentence says."""

    what: str


Remedy: TypeAlias = Kubectl | AddVolume | AddClass | RecreateClaim | RecreatePod | Do


def sentence(remedy: Remedy) -> str:
    """Say `remedy` as advice, without a full stop."""
    match remedy:
        case Kubectl():
            return f"{remedy.why}: kubectl {shlex.join(remedy.arguments)}"
        case AddVolume():
            return _add_volume(remedy)
        case AddClass():
            anew = " anew" if remedy.is_there else ""
            return f"create StorageClass {remedy.name}{anew} {remedy.why}"
        case RecreateClaim():
            return _recreate_claim(remedy)
        case RecreatePod():
            return _recreate_pod(remedy)
        case Do():
            return remedy.what
        case _:
            assert_never(remedy)


def volume_for(claim: Claim, *, name: str = "", node: str = "", keeps_uid: bool = False) -> AddVolume:
    """Return the remedy of making a volume that serves `claim`."""
    selector = claim.selector
    labels = dict(selector.match_labels or {}) if selector is not None else {}
    for line in (selector.match_expressions or ()) if selector is not None else ():
        if line.operator in ("In", "Exists"):
            labels.setdefault(line.key, (line.values or ("",))[0])
    return AddVolume(
        storage=str(claim.request),
        access_modes=claim.access_modes,
        volume_mode=claim.volume_mode,
        storage_class=claim.storage_class,
        attributes_class=claim.attributes_class,
        labels=labels,
        selector=shown_selector(selector) if selector is not None else "",
        name=name,
        node=node,
        claim=claim.key if keeps_uid else "",
        claim_uid=claim.uid if keeps_uid else "",
    )


def merge(resource: str, view: Volume | Claim, change: Json, why: str) -> Kubectl:
    """Return a merge patch of an object."""
    return _patch(resource, view, "merge", change, why)


def remove(resource: str, view: Volume | Claim | Pod, path: str, why: str) -> Kubectl:
    """Return a patch that removes the field at `path`."""
    return _patch(resource, view, "json", [{"op": "remove", "path": path}], why)


def in_namespace(view: Claim | Volume | Pod) -> tuple[str, ...]:
    """Return kubectl's flag for the namespace of an object, if it is in one."""
    return ("-n", view.namespace) if view.namespace else ()


def _patch(resource: str, view: Volume | Claim | Pod, type_: str, patch: Any, why: str) -> Kubectl:
    text = json.dumps(patch, separators=(",", ":"))
    return Kubectl(why, ("patch", resource, view.name, *in_namespace(view), f"--type={type_}", "-p", text))


def _add_volume(remedy: AddVolume) -> str:
    parts = [f"at least {remedy.storage}", short_modes(remedy.access_modes)]
    if remedy.volume_mode != "Filesystem":
        parts.append(f"volumeMode {remedy.volume_mode}")
    parts.append(f"class {named(remedy.storage_class)}" if remedy.storage_class else "no class")
    if remedy.attributes_class:
        parts.append(f"attributes class {remedy.attributes_class}")
    if remedy.selector:
        parts.append(f"labels that match the selector ({remedy.selector})")
    if remedy.node:
        parts.append(f"on node {remedy.node}")
    if remedy.claim_uid:
        parts.append(f"claimRef {remedy.claim} with uid {remedy.claim_uid}")
    demands = ", ".join(filter(None, parts))
    return f"create volume {remedy.name} with {demands}" if remedy.name else f"add a volume with {demands}"


def _recreate_claim(remedy: RecreateClaim) -> str:
    changes = []
    if remedy.storage_max:
        changes.append(f"with at most {remedy.storage_max}")
    if remedy.storage_class is not None:
        changes.append(f"with class {remedy.storage_class}" if remedy.storage_class else 'with storageClassName ""')
    if remedy.access_modes:
        changes.append(f"with {short_modes(remedy.access_modes)}")
    if remedy.volume_mode:
        changes.append(f"with volumeMode {remedy.volume_mode}")
    if remedy.attributes_class is not None:
        without = not remedy.attributes_class
        changes.append(
            "without volumeAttributesClassName" if without else f"with attributes class {remedy.attributes_class}"
        )
    changes += [f"without {field}" for field in remedy.without]
    why = f" ({remedy.because})" if remedy.because else ""
    return f"create the claim anew {' and '.join(changes)}{why}"


def _recreate_pod(remedy: RecreatePod) -> str:
    what = f"change the template of {remedy.owner}" if remedy.owner else f"create pod {remedy.pod} anew"
    parts = [f"without {field}" for field in remedy.without]
    if remedy.node_selector:
        pairs = ", ".join(f"{key}: {value}" for key, value in remedy.node_selector.items())
        parts.append(f"with nodeSelector {{{pairs}}}" + (" instead" if remedy.without else ""))
    return f"{what}: {', '.join(parts)}" + (f" ({remedy.because})" if remedy.because else "")
