"""Kubernetes objects as values: types, quantities, selectors, well-known names.

Promise: no I/O, no asyncio; parsing never loses a field that is later written back.

- `objects`: views of claims, volumes, classes, pods and nodes, one file a kind. Views for single controllers are beside
  it: `stateful_sets`, `workloads`, `scheduling`, `pod_details`, `ownership`.
- `quantity`, `durations`, `selectors`, `access_modes`, `resource_versions`: values with rules of their own.
- `names` (well-known annotations and finalizers), `resources` (kinds and their paths), `json` (documents for writes).
- `errors` (the root of all our errors), `histogram`, `printable` (text that can't command a terminal).
"""
