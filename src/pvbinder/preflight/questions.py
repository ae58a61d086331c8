"""One question for each thing that must be right before pvbinder works in a cluster."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pvbinder.controllers.csi.rights import Right
from pvbinder.kube.client import Client
from pvbinder.kube.discovery import Discovered, discover
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import metadata_of
from pvbinder.kube.reviews import may_we, who_are_we
from pvbinder.kube.transport import Request
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import decode
from pvbinder.model.resources import LEASES, Resource
from pvbinder.preflight.findings import Advice, Observation

OLDEST: Final = (1, 29)
QUESTIONS_AT_ONCE: Final = 8
OTHERS_LEASE: Final = ("kube-system", "kube-controller-manager")
WRITERS: Final = ("pvbinder",)  # the field managers of our own writes
_VERSION: Final = Resource("", "", "Version", "version", False)  # to count the request
_NEEDED: Final = (
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("", "Pod"),
    ("", "Node"),
    ("", "Event"),
    ("storage.k8s.io", "StorageClass"),
)
_ATTRIBUTES_CLASS: Final = ("storage.k8s.io", "VolumeAttributesClass")


async def ask_version(client: Client) -> Observation:
    """Is the server of a version that pvbinder is made for?"""
    answer = await client.request("get", _VERSION, Request("GET", "/version"))
    try:
        said = str(decode(answer.body).get("gitVersion") or "")
    except PvbinderError:
        said = ""
    found = re.match(r"v?(\d+)\.(\d+)", said)
    if found is None:
        return Observation("version", Advice.WARNING, "the server doesn't say which version it is")
    if (int(found[1]), int(found[2])) < OLDEST:
        return Observation(
            "version",
            Advice.NO_GO,
            f"the server is Kubernetes {said}, older than {OLDEST[0]}.{OLDEST[1]}",
            "upgrade the cluster first: nothing older has been tried",
        )
    return Observation("version", Advice.GO, f"Kubernetes {said}")


async def ask_name(client: Client) -> Observation:
    """Who are we to the server?"""
    try:
        name = await who_are_we(client)
    except (ApiFailure, ConnectionFailed) as error:
        return Observation("user", Advice.WARNING, f"the server doesn't say who we are: {error.message}")
    return Observation("user", Advice.GO, name or "nobody in particular")


async def ask_kinds(client: Client) -> list[Observation]:
    """Does the server have the kinds that the controllers need?"""
    found = await discover(client)
    missing = [kind if not group else f"{kind}.{group}" for group, kind in _NEEDED if not found.find(group, kind)]
    findings = []
    if missing:
        hint = "a group that doesn't answer is mostly an aggregated API whose server is away" if found.missing else ""
        findings.append(Observation("kinds", Advice.NO_GO, f"the server doesn't serve {', '.join(missing)}", hint))
    findings += _about_attributes_classes(found)
    return findings or [Observation("kinds", Advice.GO, "all kinds are served")]


def _about_attributes_classes(found: Discovered) -> list[Observation]:
    served = found.find(*_ATTRIBUTES_CLASS)
    if served is not None and served.resource.version == "v1":
        return []
    how = f"serves them as {served.resource.version} only" if served is not None else "has none"
    return [
        Observation(
            "kinds",
            Advice.WARNING,
            f"volume attributes classes are left alone: the server {how}",
            "nothing to do unless claims name such classes; they come with Kubernetes 1.34",
        )
    ]


@dataclass(frozen=True, slots=True)
class _Asked:
    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        named = f" {self.name}" if self.name else ""
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}{named}{where}"


async def ask_rights(
    client: Client, rights: Iterable[Right], lease: tuple[str, str] | None, *, recycler_namespace: str = "default"
) -> list[Observation]:
    """May we do all that the controllers do?"""
    only: dict[_Asked, str] = {}
    for right in rights:
        for resource in right.resources:
            for verb in right.verbs:
                namespace = recycler_namespace if "Recycle" in right.only else ""
                asked = _Asked(verb, right.group, resource, namespace)
                only[asked] = "" if only.get(asked) == "" else right.only
    if lease is not None:
        namespace, name = lease
        only[_Asked("create", LEASES.group, LEASES.plural, namespace)] = ""
        only |= {_Asked(verb, LEASES.group, LEASES.plural, namespace, name): "" for verb in ("get", "update")}
    turns = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def is_missing(one: _Asked) -> bool:
        async with turns:
            verdict = await may_we(client, one.verb, one.group, one.resource, one.namespace, one.name)
            return not verdict.allowed

    answers = await asyncio.gather(*map(is_missing, only))
    missing = [one for one, lacks in zip(only, answers, strict=True) if lacks]
    needed = [str(one) for one in missing if not only[one]]
    findings = []
    if needed:
        findings.append(
            Observation(
                "rights",
                Advice.NO_GO,
                f"we may not {'; '.join(needed)}",
                "give our user the role of docs/how-to/real-cluster.md, or run this as the service account",
            )
        )
    for reason in dict.fromkeys(only[one] for one in missing if only[one]):
        those = "; ".join(str(one) for one in missing if only[one] == reason)
        findings.append(Observation("rights", Advice.WARNING, f"we may not {those}, which is needed {reason}"))
    return findings or [Observation("rights", Advice.GO, f"all {len(only)} that are needed")]


@dataclass(frozen=True, slots=True)
class Held:
    """A lease at one moment; `writers` are the field managers of those who wrote it, the last one last."""

    holder: str
    renewed: str
    seconds: float
    writers: Sequence[str]


async def look_at_lease(client: Client, namespace: str, name: str) -> Held | None:
    """Return the lease, None if there is none."""
    try:
        document = (await client.get(metadata_of(LEASES), name, namespace)).document()
    except ApiFailure as failure:
        if failure.names_as_not_found(LEASES, name):
            return None
        raise
    spec = document.get("spec") or {}
    entries = sorted(document["metadata"].get("managedFields") or [], key=lambda one: str(one.get("time") or ""))
    return Held(
        str(spec.get("holderIdentity") or ""),
        str(spec.get("renewTime") or ""),
        float(spec.get("leaseDurationSeconds") or 0),
        tuple(str(one.get("manager") or "") for one in entries),
    )


def judge_our_lease(name: str, before: Held | None, after: Held | None) -> Observation:
    """What stands in the way of having our lease? `before` and `after` are some seconds apart."""
    if after is None or not after.holder:
        return Observation("lease", Advice.GO, f"{name} is free")
    is_alive = before is not None and (before.holder, before.renewed) != (after.holder, after.renewed)
    writer = after.writers[-1] if after.writers else ""
    if writer and writer not in WRITERS and is_alive:
        return Observation(
            "lease",
            Advice.NO_GO,
            f"{name} is held by {after.holder}, which is {writer} and no pvbinder, and is renewed",
            "choose another with --leader-elect-resource-name",
        )
    if is_alive:
        return Observation("lease", Advice.GO, f"{name} is held by {after.holder}, a pvbinder that works: others wait")
    return Observation(
        "lease",
        Advice.WARNING,
        f"{name} is held by {after.holder}, and wasn't renewed while we looked",
        f"it is taken {after.seconds:.0f} s after the first look at it; to open it now, set its holderIdentity to ''",
    )


def judge_others_lease(held: Held | None) -> Observation:
    """Who leads the cluster's own controllers?"""
    name = "/".join(OTHERS_LEASE)
    if held is None or not held.holder:
        return Observation("lease", Advice.GO, f"{name}: nobody")
    return Observation("lease", Advice.GO, f"{name} is held by {held.holder}")
