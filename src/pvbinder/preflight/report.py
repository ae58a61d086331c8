"""All questions of a preflight, one after the other, and the answer to the one that counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pvbinder.controllers.rights import rights_of
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.preflight.canary import Canary, Sighting
from pvbinder.preflight.findings import Advice, Observation, Preflight
from pvbinder.preflight.questions import (
    OTHERS_LEASE,
    WRITERS,
    Held,
    ask_kinds,
    ask_name,
    ask_rights,
    ask_version,
    judge_others_lease,
    judge_our_lease,
    look_at_lease,
)

LEASE_SECONDS: Final = 5.0  # a leader renews every two
QUESTION_SECONDS: Final = 30.0
SWITCH_OFF: Final = (
    "switch the cluster's own off first: docs/how-to/real-cluster.md has the flag of kube-controller-manager"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be found out: for which controllers, with which lease, and where a canary may be (None: nowhere)."""

    controllers: Sequence[str]
    lease: tuple[str, str]
    canary_namespace: str | None
    seconds: float = 20.0


async def examine(client: Client, server: str, asked: Asked, tick: Callable[[str], None] = lambda _: None) -> Preflight:
    """Ask everything, and tell `tick` what; raise `ConnectionFailed` if the server can't be reached at all."""
    tick("version and rights")
    findings = [await ask_version(client)]
    findings.append(await ask_name(client))
    findings += await _found("kinds", ask_kinds(client))
    findings += await _found("rights", ask_rights(client, rights_of(asked.controllers), asked.lease))
    before = await _lease(client, asked.lease)
    sighting: Sighting | None = None
    if asked.canary_namespace is not None:
        tick(f"whether a binder is active, for up to {asked.seconds:.0f} s")
        sighting = await Canary(client, asked.canary_namespace, seconds=asked.seconds).fly()
    else:
        tick("who holds the leases")
        await asyncio.sleep(LEASE_SECONDS)
    after = await _lease(client, asked.lease)
    if sighting is not None and sighting.is_bound and _is_held(after) and not isinstance(after, Observation):
        await asyncio.sleep(LEASE_SECONDS)  # it may be over before a renewal was due
        after = await _lease(client, asked.lease)
    findings.append(await _others(client))
    findings.append(_ours("/".join(asked.lease), before, after))
    is_ours = isinstance(before, Held) and isinstance(after, Held) and before.renewed != after.renewed
    findings.append(judge_canary(sighting, leads=is_ours))
    if sighting is not None and sighting.left:
        left = f"left over: {', '.join(sighting.left)}: {sighting.why_left}"
        findings.append(Observation("canary", Advice.WARNING, left, "delete them"))
    return Preflight(server, findings)


def judge_canary(sighting: Sighting | None, *, leads: bool) -> Observation:
    """Is another binder active? `leads`: a pvbinder holds our lease and renews it."""
    if sighting is None:
        return Observation("binder", Advice.WARNING, "whether another binder is active wasn't looked at")
    if sighting.missing:
        return Observation(
            "binder",
            Advice.NO_GO,
            f"whether another binder is active can't be found out: we may not {'; '.join(sighting.missing)}, "
            "so no canary was made",
            "ask once more as an administrator; or see to it yourself, and give --no-canary",
        )
    if not sighting.is_bound:
        if sighting.trouble:
            return Observation(
                "binder",
                Advice.NO_GO,
                f"whether another binder is active can't be found out: {sighting.trouble}",
                "choose a namespace with --canary-namespace, or see to it yourself and give --no-canary",
            )
        if sighting.protectors:
            return Observation(
                "binder",
                Advice.WARNING,
                f"nobody bound the canary, but somebody removed the finalizer of {' and '.join(sighting.protectors)}",
                "another's protection controllers are active: switch them off, too, or leave ours out by --controllers",
            )
        return Observation("binder", Advice.GO, "nobody bound the canary")
    who = " and ".join(sighting.binders)
    if all(binder in WRITERS for binder in sighting.binders):
        if leads:
            return Observation("binder", Advice.GO, "the canary was bound by pvbinder, which holds its lease")
        return Observation(
            "binder",
            Advice.NO_GO,
            "the canary was bound by a pvbinder that doesn't hold this lease",
            "stop it, or start all of them with the same --leader-elect-resource-name",
        )
    return Observation("binder", Advice.NO_GO, f"another binder is active: {who} wrote to the canary", SWITCH_OFF)


async def _found(check: str, question: Awaitable[Observation | list[Observation]]) -> list[Observation]:
    """Ask `question`; what can't be found out is no yes (PREFLIGHT-3)."""
    try:
        async with asyncio.timeout(QUESTION_SECONDS):
            found = await question
    except (ApiFailure, ConnectionFailed, TimeoutError) as error:
        return [Observation(check, Advice.NO_GO, f"can't be found out: {error or 'no answer in time'}")]
    return found if isinstance(found, list) else [found]


async def _lease(client: Client, lease: tuple[str, str]) -> Held | Observation | None:
    try:
        return await look_at_lease(client, *lease)
    except (ApiFailure, ConnectionFailed) as error:
        said = f"who holds {'/'.join(lease)} can't be found out: {error.message}"
        return Observation("lease", Advice.WARNING, said)


def _is_held(lease: Held | Observation | None) -> bool:
    return isinstance(lease, Held) and bool(lease.holder)


def _ours(name: str, before: Held | Observation | None, after: Held | Observation | None) -> Observation:
    if isinstance(after, Observation):
        return after
    return judge_our_lease(name, before if isinstance(before, Held) else None, after)


async def _others(client: Client) -> Observation:
    found = await _lease(client, OTHERS_LEASE)
    return found if isinstance(found, Observation) else judge_others_lease(found)
