"""Every decision of the volume control plane, as pure functions.

Promise: pure, total, deterministic; a reason for every outcome. No I/O, no clock, no logging: time is an argument.

A decision is a function `decide_…` of one object and the `world` around it. It returns an action: a frozen struct that
says what to do, with its reason (`reasons`). Who carries it out, or puts it into words, matches all actions.

- A claim: `claims` decides whether it is bound, provisioned for, waits or is lost. `matching` says which volume fits
  and why not, `volume_index` (over `sorted_keys`) finds the best one, `satisfy` judges a volume that the claim names,
  `classes` has default classes and delayed binding, `provisioning` says who makes a volume.
- A volume: `volumes` decides its phase and whether it is let go, `reclaim` what becomes of it then, `binding` has the
  changes that bind and unbind, `finalizers` and `migration` what is put right first, `protection` what delays deletion,
  `expansion` and `node_expansion` how a claim grows.
- A pod and its node: `scheduling`, `pod_lifecycle`, `pod_status`, `expected_runs`, `ephemeral`, `node_troubles`.
- Workloads: `deployments` (with `deployment_scaling` and `deployment_status`), `replica_sets`, `stateful_sets`,
  `daemon_sets`, `jobs` (with `job_indexes`), `cron_jobs` (with `schedules`), and what they share: `adoption`,
  `pod_templates`, `revisions`. `disruption_budgets` says which evictions are refused, `garbage` what goes with its
  owner.
- What server and controllers must agree on: `quotas`, `pod_amounts`, and the default class in `classes`.
- For all: `world` (what a decision may look at), `settings`, `plugins`, `events` (what users are told), `reasons`.
"""
