"""What there is to call in expressions of Kubernetes 1.36: each module declares one library."""

from __future__ import annotations

from functools import lru_cache

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.functions import (
    authorizers,
    conversions,
    formats,
    lists,
    network,
    operators,
    optionals,
    quantities,
    strings,
    times,
    urls,
    versions,
)


@lru_cache(1)
def library() -> Library:
    """Return all functions."""
    everything = Library()
    for part in (
        operators,
        conversions,
        times,
        strings,
        lists,
        optionals,
        urls,
        network,
        quantities,
        formats,
        versions,
        authorizers,
    ):
        part.declare(everything)
    return everything
