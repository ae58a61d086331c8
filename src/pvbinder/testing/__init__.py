"""Claims that bind in anybody's tests: a control plane in the process of the tests, and a pytest plugin that gives it.

    def test_pending_then_bound(k8s):
        claim = k8s.apply("pvc.yaml")
        assert k8s.why(claim).reason == "NoVolumeFits"
        k8s.apply(pv("disk", size="5Gi"))
        claim.wait_bound(timeout=2)

Promise: each test begins with the same cluster, and what it did is gone after it; a failure says why.

- `plugin` has the fixtures, the options and the factories for other set-ups; it is what pytest loads, and it imports
  the rest only when a test asks for it.
- `k8s` has the fixtures' objects, `K8s` for synchronous and `AsyncK8s` for asynchronous tests; `handles` the objects of
  a cluster that they return; `work` does what both ask for; `kinds` finds the resource that a word means.
- `cluster` is the cluster behind them: `own` in a thread of its own (`loop_thread`, whose time can be advanced), or
  another one by its kubeconfig (`kubeconfigs`). `faults` has the failures that are asked for,
  `put_back` the end of a test, `play` the parts of others, `clients` those of other libraries.
- `objects` makes volumes, claims, classes, pods and nodes.
"""

from pvbinder.testing.objects import node, pod, pv, pvc, storage_class
from pvbinder.testing.plugin import namespace, server

__all__ = ["namespace", "node", "pod", "pv", "pvc", "server", "storage_class"]
