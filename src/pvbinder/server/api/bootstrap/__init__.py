"""The objects of a fresh server, written at each start where they are missing.

`policy` has the default roles and bindings, `furniture` what else there is unless the server is bare. `fresh_objects`
writes objects in bulk: they are our own, so no request is made of each. What they are stands in `data/`, made from
recordings of a fresh Kubernetes by ``python -m tools.bootstrap``.
"""
