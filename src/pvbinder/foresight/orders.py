"""Other orders of arrival: whether the outcome of manifests hangs on who comes first.

ORDERS-1  Each order is a run of its own, of the same controllers on the same copy; runs are compared claim by claim, by
          what each claim gets (`ClaimOutcome.signature`).
ORDERS-2  Up to `EVERY_MAX` objects, every order is tried. Of more, `TRIES_MAX` orders: the reverse, each object brought
          to the front, and shuffles by a fixed seed; then `complete` is False.
ORDERS-3  Namespaces, classes and definitions come first in every order, as they do when they are applied.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from pvbinder.controllers.options import ControllerOptions
from pvbinder.foresight.applying import apply, comes_first, name_of
from pvbinder.foresight.outcomes import ClaimOutcome, outcomes
from pvbinder.foresight.preparing import Prepared, Sourced
from pvbinder.foresight.rehearsal import rehearsal, run_rehearsal

EVERY_MAX: Final = 4  # objects: 24 orders
TRIES_MAX: Final = 24
MOVES: Final = frozenset(
    {
        "PersistentVolumeClaim",
        "PersistentVolume",
        "Pod",
        "StatefulSet",
        "Deployment",
        "ReplicaSet",
        "DaemonSet",
        "Job",
        "CronJob",
    }
)


class Changed(Struct, frozen=True, rename="camel"):
    """A claim that gets something else in the other order."""

    claim: str
    first: str
    second: str


class Orders(Struct, frozen=True, rename="camel", kw_only=True):
    """How many orders were tried, and the first two that differ, if any."""

    tried: int
    complete: bool
    first: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    changed: tuple[Changed, ...] = ()

    @property
    def differs(self) -> bool:
        """Tell whether another order changes the outcome."""
        return bool(self.changed)


def try_orders(
    prepared: Prepared, new: Sourced, *, namespace: str = "default", options: ControllerOptions | None = None
) -> Orders:
    """Try other orders of `new` until one changes the outcome (ORDERS-1)."""
    fixed = [one for one in new if comes_first(one[1]) or one[1].get("kind") not in MOVES]
    moving = [one for one in new if one not in fixed]
    first = _run(prepared, [*fixed, *moving], namespace, options)
    tried = 1
    for order in _others(len(moving)):
        documents = [moving[place] for place in order]
        tried += 1
        second = _run(prepared, [*fixed, *documents], namespace, options)
        changed = tuple(_changed(first, second))
        if changed:
            names = [tuple(name_of(one, namespace) for _, one in these) for these in (moving, documents)]
            return Orders(tried=tried, complete=True, first=names[0], second=names[1], changed=changed)
    return Orders(tried=tried, complete=len(moving) <= EVERY_MAX)


def _run(
    prepared: Prepared, new: Sourced, namespace: str, options: ControllerOptions | None
) -> dict[str, ClaimOutcome]:
    async def run() -> dict[str, ClaimOutcome]:
        async with rehearsal(prepared, options) as copy:
            await copy.settle()
            before = copy.snapshot()
            await apply(copy, new, namespace=namespace)
            await copy.settle()
            after = copy.snapshot()
            every = {str(claim.key) for claim in after.claims()}
            return {one.claim: one for one in outcomes(before, after, every)}

    return run_rehearsal(run)


def _others(count: int) -> Iterator[tuple[int, ...]]:
    """Give the orders that are tried beside the first (ORDERS-2)."""
    usual = tuple(range(count))
    if count <= EVERY_MAX:
        yield from (order for order in itertools.permutations(usual) if order != usual)
        return
    seen = {usual}
    for order in _likely(usual):
        if order not in seen:
            seen.add(order)
            yield order
        if len(seen) > TRIES_MAX:
            return


def _likely(usual: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    yield usual[::-1]
    for place in usual:
        yield (place, *(other for other in usual if other != place))
    chance = random.Random(1)  # noqa: S311  (the same orders each time)
    while True:
        yield tuple(chance.sample(usual, len(usual)))


def _changed(first: dict[str, ClaimOutcome], second: dict[str, ClaimOutcome]) -> Iterator[Changed]:
    for claim in sorted(first.keys() | second.keys()):
        one, other = first.get(claim), second.get(claim)
        if one is None or other is None or one.signature != other.signature:
            yield Changed(claim, got(one), got(other))


def got(one: ClaimOutcome | None) -> str:
    """Say what a claim gets, in half a sentence."""
    if one is None:
        return "isn't there"
    match one.result:
        case "Binds":
            return f"volume {one.volume}"
        case "Provisioned":
            return f"a new volume of {one.provisioner}"
        case "Waits":
            return "waits"
        case "Nothing":
            return "nothing"
