"""ValidatingAdmissionPolicy: the policies of the cluster are asked about each write that they concern.

Promise: a write is denied, warned of or let through as Kubernetes would, in its words; without a binding in the cluster
a write costs one look at what has changed.

`hooks` keeps the policies that are bound, compiled; `matching` says which of them concern a write, `params` finds their
parameters, `review` asks them, and `rights` says who may name such parameters. What a policy says is in
`server.kinds.policies`.
"""

from pvbinder.server.api.admission.policies.hooks import PolicyHooks
from pvbinder.server.api.admission.policies.review import PoliciesTakeLongError, PolicyReview, ask_policies
from pvbinder.server.api.admission.policies.written import AdmissionOperation, Written

__all__ = ["AdmissionOperation", "PoliciesTakeLongError", "PolicyHooks", "PolicyReview", "Written", "ask_policies"]
