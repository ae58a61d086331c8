"""The Common Expression Language, as Kubernetes' API server speaks it.

Rules of custom resources are written in it, and policies of admission.

Promise: what Kubernetes compiles, compiles; what it refuses is refused in its words and at its place; values, errors,
costs and their estimates are its own. An expression is read (`parser`, `macros`), checked (`checker`), its cost is
estimated (`estimate`), and it is made into functions of Python that count what they cost (`program`). What there is to
call stands in `functions`, declared once, with types, implementation and cost side by side.

Knows nothing of schemas or objects: those who use it bring the types of their variables (`types`) and sizes.
Left out: messages of protobuf.
"""
