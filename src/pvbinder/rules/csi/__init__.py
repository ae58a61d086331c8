"""What a CSI driver is asked for, and what is made of its answer, as functions of values.

    parameters, secrets (a class's parameters, taken apart) ─┐
    capabilities (access modes), topology (where it may be)  ├─▶ volumes (the request, and the PersistentVolume)
    sources (clones and snapshots) ──────────────────────────┘        refusals (how an attempt ends without one)

Rules: docs/rules/provisioner.md
"""
