"""The arithmetic of deployments: surge, unavailability, and how a change of size is shared among replica sets."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from pvbinder.model.json import Json
from pvbinder.model.workloads import Workload

MAX_REPLICAS: Final = "deployment.kubernetes.io/max-replicas"
DESIRED_REPLICAS: Final = "deployment.kubernetes.io/desired-replicas"
_PERCENTAGE: Final = re.compile("[0-9]{1,9}%", re.ASCII)


def sum_replicas(replica_sets: Iterable[Workload]) -> int:
    """Return how many pods they want together."""
    return sum(one.replicas for one in replica_sets)


def scaled_value(value: object, total: int, *, round_up: bool) -> int:
    """Return a number, or the percentage of `total` that ``"25%"`` names; 0 for any other value."""
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _PERCENTAGE.fullmatch(value):
        part = int(value[:-1]) * total
        return -(-part // 100) if round_up else part // 100
    return 0


def _rolling(deployment: Workload) -> Json | None:
    strategy = deployment.spec.get("strategy") or {}
    return (strategy.get("rollingUpdate") or {}) if strategy.get("type") == "RollingUpdate" else None


def allowed_surge(deployment: Workload) -> int:
    """Return how many pods more than wanted there may be during an update."""
    rolling = _rolling(deployment)
    return scaled_value(rolling.get("maxSurge"), deployment.replicas, round_up=True) if rolling is not None else 0


def max_unavailable(deployment: Workload) -> int:
    """Return how many of the wanted pods may be unavailable during an update; never both 0."""
    rolling, wanted = _rolling(deployment), deployment.replicas
    if rolling is None or wanted == 0:
        return 0
    unavailable = scaled_value(rolling.get("maxUnavailable"), wanted, round_up=False)
    if unavailable == 0 and allowed_surge(deployment) == 0:
        unavailable = 1
    return min(unavailable, wanted)


def new_set_replicas(deployment: Workload, replica_sets: Sequence[Workload], now: int, *, is_recreating: bool) -> int:
    """Return how many pods the new replica set, which has `now`, may have at once."""
    wanted = deployment.replicas
    if is_recreating:
        return wanted
    room = wanted + allowed_surge(deployment) - sum_replicas(replica_sets)
    return now + max(min(room, wanted - now), 0)


def is_saturated(deployment: Workload, new: Workload | None) -> bool:
    """Tell whether the new replica set has all pods, and all are available."""
    if new is None:
        return False
    noted = new.annotations.get(DESIRED_REPLICAS, "")
    wanted = deployment.replicas
    return noted == str(wanted) and new.replicas == wanted and new.counted("availableReplicas") == wanted


def proportional_sizes(deployment: Workload, active: Sequence[Workload]) -> list[tuple[Workload, int]]:
    """Share the change of size among the `active` replica sets, the largest first; the first one gets the rest."""
    wanted = deployment.replicas
    allowed = wanted + allowed_surge(deployment) if wanted > 0 else 0
    to_add = allowed - sum_replicas(active)
    by_age = sorted(active, key=lambda one: one.created, reverse=to_add > 0)
    ordered = sorted(by_age, key=lambda one: -one.replicas)
    sizes: list[tuple[Workload, int]] = []
    added = 0
    for one in ordered:
        share = _share(deployment, one, to_add, added)
        sizes.append((one, one.replicas + share))
        added += share
    if to_add and sizes:
        first, size = sizes[0]
        sizes[0] = (first, max(size + to_add - added, 0))
    return sizes


def _share(deployment: Workload, one: Workload, to_add: int, added: int) -> int:
    if one.replicas == 0 or to_add in (0, added):
        return 0
    if deployment.replicas == 0:
        fraction = -one.replicas
    else:
        noted = one.annotations.get(MAX_REPLICAS, "")
        before = int(noted) if noted.isascii() and noted.isdigit() and len(noted) < 10 else 0
        before = before or deployment.counted("replicas") or one.replicas
        exact = one.replicas * (deployment.replicas + allowed_surge(deployment)) / before
        fraction = math.floor(exact + 0.5) - one.replicas
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)
