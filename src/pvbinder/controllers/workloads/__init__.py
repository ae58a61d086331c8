"""Workloads in small: deployments, replica sets, daemon sets, jobs, cron jobs and disruption budgets.

The decisions are in `rules`; here are the loops that carry them out. `dependents` finds, adopts and releases what
belongs to a workload, `pod_control` makes and ends pods and says so.
"""
