"""A scheduler in small: it gives pods their nodes and leads the claims that wait for that to a volume.

It serves the pods of ``default-scheduler`` and looks at what concerns storage, plus labels and taints of nodes; what it
doesn't look at is listed in `rules.scheduling`, where the decisions are.
"""

from pvbinder.controllers.scheduler.scheduler import EVENT_SOURCE, Scheduler

__all__ = ["EVENT_SOURCE", "Scheduler"]
