"""An object of any kind as a value: its text, its types, its fields and their owners, and what a patch makes of it.

    a body ─▶ schema (JSON, YAML or protobuf, checked against its type) ─▶ an object, a ``dict``
    a patch ─▶ patches (json_patch, merge, strategic) or apply (over typed, field_sets) ─▶ the changed object
    before and after ─▶ managed_fields ─▶ who owns which field

`kind.py` is the declaration of a kind; each kind says it on the floor above (`server.kinds`). Nothing here reads the
store or a clock.
"""
