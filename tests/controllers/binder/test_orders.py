"""The end state doesn't depend on the order of independent events.

Several groups of volumes and claims, each with a class of its own: inside a group the order of what users do is fixed,
between groups it is shuffled. The end state must not depend on the shuffle.
"""

from __future__ import annotations

import asyncio
import copy
import os
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.controllers.binder.test_histories import (
    CLAIMS,
    MODES,
    SETTLED_SECONDS,
    VOLUMES,
    Action,
    Cluster,
    CreateClaim,
    CreateVolume,
    Delete,
    Running,
    act,
    check_settled,
)
from tests.virtual_time import VirtualTimeLoop

ORDERS = int(os.environ.get("PVBINDER_ORDERS", "200"))
GROUPS = ("red", "green", "blue")
Step: TypeAlias = tuple[str, int, Action]  # its group, its place there, and the act


def steps_of(group: str) -> st.SearchStrategy[list[Step]]:
    disks = st.sampled_from([f"{group}-disk-1", f"{group}-disk-2"])
    wants = st.sampled_from([f"{group}-a", f"{group}-b"])
    actions: st.SearchStrategy[Action] = st.one_of(
        st.builds(CreateVolume, disks, st.integers(2, 3), MODES, st.just(group), st.just("Retain"), st.none()),
        st.builds(CreateClaim, wants, st.integers(1, 3), MODES, st.just(group), st.none()),
        st.builds(Delete, st.just(CLAIMS), wants),
        st.builds(Delete, st.just(VOLUMES), disks),
    )
    return st.lists(actions, min_size=2, max_size=6).map(
        lambda found: [(group, place, action) for place, action in enumerate(found)]
    )


@st.composite
def two_orders(draw: st.DrawFn) -> tuple[list[Step], list[Step]]:
    """The same steps twice, in orders that differ between the groups only."""
    groups = [draw(steps_of(group)) for group in GROUPS]
    return _merged(groups, draw), _merged(groups, draw)


def _merged(groups: list[list[Step]], draw: st.DrawFn) -> list[Step]:
    turns = draw(st.permutations([index for index, group in enumerate(groups) for _ in group]))
    waiting = [iter(group) for group in groups]
    return [next(waiting[turn]) for turn in turns]


async def end_of(steps: list[Step]) -> dict[str, Any]:
    cluster = Cluster()
    running = Running(cluster)
    await running.start()
    for group, place, action in steps:
        act(cluster, action, place + 100 * GROUPS.index(group))
        await asyncio.sleep(1)  # one group has settled before the next one acts
    await asyncio.sleep(SETTLED_SECONDS)
    check_settled(cluster)
    await running.stop()
    return {
        found["metadata"]["name"]: _without_revisions(found)
        for plural in (VOLUMES, CLAIMS)
        for found in cluster.all_of(plural)
    }


def _without_revisions(found: dict[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(found)
    document["metadata"].pop("resourceVersion", None)
    document["spec"].get("claimRef", {}).pop("resourceVersion", None)
    return document


@pytest.mark.slow
@settings(max_examples=ORDERS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(two_orders())
def test_what_settles_is_the_same_whatever_the_order_of_independent_events(
    orders: tuple[list[Step], list[Step]],
) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        one, other = runner.run(end_of(orders[0])), runner.run(end_of(orders[1]))
    assert one == other
