"""Metrics for Prometheus: under the reference's names where it has them, else as ``pvbinder_…``.

Promise: nothing is measured for metrics' sake while the controllers work: when somebody asks, sources read the
`statistics()` that every part has anyway. No library is loaded and no registry exists before somebody asks for one.

- `families`: every metric, declared once: name, type, labels, meaning. `docs/metrics.md` lists the same.
- `metrics`: the sources of one process, and the text that they make.
- `controllers`, `objects`, `server`: the sources.
- `endpoint`: a small listener for ``/metrics``, ``/healthz`` and ``/readyz``.
"""
