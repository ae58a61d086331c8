"""Policies of admission in CEL: what their expressions see, compiling them, and what they say of a write.

Promise: what Kubernetes takes, is taken; what it refuses is refused in its words; the same writes are denied, with the
same messages, within the same costs. `variables` has the types that expressions see, `expressions` compiles one,
`policy` a whole policy, and `trial` asks a policy about a write.

Pure: who asks brings everything that a policy may look at (`trial.Sight`). Which policies concern a write, and with
which parameters, is for admission to find out (`server.api.admission.policies`).
"""
