"""The counts and durations of the requests that the server answers.

MEASURES-1  Bounded: whatever clients ask for, there are only as many different counts as there are kinds, verbs and
            answers; a request for a kind that isn't served counts under resource ``""``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pvbinder.model.histogram import Durations, Histogram

RequestKey: TypeAlias = tuple[str, str, int]  # verb, resource ("claims/status"), code

METHODS = {"head", "post", "put", "options"}  # of paths that are no resource
VERBS = frozenset({"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"} | METHODS)


@dataclass(frozen=True, slots=True)
class RequestStatistics:
    """Requests answered so far; a watch counts when it begins."""

    requests: Mapping[RequestKey, int]
    durations: Mapping[str, Durations]  # by verb; watches left out


class RequestMeasures:
    """Counts requests; belongs to the loop's thread."""

    def __init__(self) -> None:
        self._requests: Counter[RequestKey] = Counter()
        self._durations: dict[str, Histogram] = {}

    def count(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """Count one; `resource` is one that is served, or ``""``."""
        if verb not in VERBS:
            verb = "other"
        self._requests[verb, resource, code] += 1
        if verb == "watch":
            return
        histogram = self._durations.get(verb)
        if histogram is None:
            histogram = self._durations[verb] = Histogram()
        histogram.observe(seconds)

    def statistics(self) -> RequestStatistics:
        """The counts so far."""
        return RequestStatistics(
            dict(self._requests), {verb: histogram.value() for verb, histogram in self._durations.items()}
        )
