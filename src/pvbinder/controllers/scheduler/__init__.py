"""A scheduler in small: it gives pods their nodes and leads the claims that wait for that to a volume.

It serves the pods of ``default-scheduler`` and looks at storage, and at labels and taints of nodes; `rules.scheduling`
makes the decisions, and lists the facts that it leaves out.
"""

from pvbinder.controllers.scheduler.scheduler import EVENT_SOURCE, Scheduler

__all__ = ["EVENT_SOURCE", "Scheduler"]
