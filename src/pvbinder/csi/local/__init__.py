"""A CSI driver whose volumes are directories of one machine, and files where a block volume is asked for.

    identity, controller, snapshot_service, node (requests, checked by arguments)
        └─▶ work (one thread of work for each volume) ─▶ volumes, snapshots ─▶ records (what a volume is, on disk)
                                                             ├─▶ copying, walking (data, never through a link)
                                                             ├─▶ publishing, mounts (a volume's place in a pod)
                                                             └─▶ pool (how much may be promised)

`driver` puts the parts together, as `options` say; `process` does that in a process of its own. `root` is the directory
that all of it lives in. What each call must answer is the specification of the Container Storage Interface, 1.12.
"""
