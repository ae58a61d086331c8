"""The loops: binder, protection and their neighbours, and the manager that starts them by name.

Promise: one writer per claim-volume pair; a bind costs exactly its writes; an idle cluster costs no requests.

A controller decides nothing: it has caches and a queue of keys, asks `rules` about one key at a time, and carries out
the action.

- `manager` starts those that `registry` knows and ``--controllers`` chooses; `context` is what each is made from.
- Volumes: `binder` (claims and volumes, provisioning, reclaiming; `binder_controller` is how the manager starts it),
  `protection`, `expander`, `ephemeral_volumes`.
- A cluster in small: `scheduler`, `kubelet`, `nodes`, `stateful_sets`, `workloads`, `accounts`, `namespaces`,
  `garbage_collector`, `resource_quotas`.
- Settings: `flags` (each flag as data), `configuration` (the file), `features` (the gates), `options` (the result).
- For all: `operations` (work in the background, by name), `plugins`, `measures` (what metrics read later).
"""
