"""A StatefulSet controller in small: pods and claims from the templates, in order, with the retention policy.

The decisions are `rules.stateful_sets`; its limits are listed there and in docs/limits.md.
"""

from pvbinder.controllers.stateful_sets.stateful_sets import EVENT_SOURCE, STATEFUL_SETS, StatefulSets

__all__ = ["EVENT_SOURCE", "STATEFUL_SETS", "StatefulSets"]
