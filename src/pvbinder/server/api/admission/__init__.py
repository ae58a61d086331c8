"""Admission: the decisions about a write that need other objects, after decoding and around validation (GW-3).

Promise: synchronous, but for a new pod that waits for its account; reads only through a `Reader`, changes only the new
object, and says no with an `ApiError` in the reference's words. The plugins and their order are those of the
reference's default ones that matter here.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from pvbinder.server.api.admission.chain import admit, admit_delete, prepare, validate
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Reader
from pvbinder.server.api.admission.policies import (
    AdmissionOperation,
    PoliciesTakeLongError,
    PolicyHooks,
    PolicyReview,
    Written,
    ask_policies,
)
from pvbinder.server.api.admission.service_accounts import NAME as SERVICE_ACCOUNT_PLUGIN
from pvbinder.server.api.admission.service_accounts import wait_for_default_account

__all__ = [
    "SERVICE_ACCOUNT_PLUGIN",
    "AdmissionAttributes",
    "AdmissionOperation",
    "PoliciesTakeLongError",
    "PolicyHooks",
    "PolicyReview",
    "Reader",
    "Written",
    "admit",
    "admit_delete",
    "ask_policies",
    "prepare",
    "validate",
    "wait_for_default_account",
]
