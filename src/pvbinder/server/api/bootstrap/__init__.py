"""What a server has when nobody has made anything yet, written where it is missing at each start.

`policy` has the default roles and bindings. `fresh_objects` writes objects in bulk: they are our own, so no request is
made of each. What they are stands in `data/`, made from recordings of a fresh Kubernetes by
``python -m tools.bootstrap``.
"""
