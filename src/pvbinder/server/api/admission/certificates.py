"""The requester of a certificate: the server says so, not the request.

CERTIFICATES-1  The requester in a CertificateSigningRequest is the user who created it, and stays so, whatever was
                sent: whoever signs it goes by that.
"""

from __future__ import annotations

from pvbinder.model.resources import Resource
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.objects.kind import Json

CERTIFICATE_REQUESTS = Resource(
    "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", False
)
_REQUESTER = ("username", "uid", "groups", "extra")


def name_requester(_reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None) -> None:
    """Write the requester into a new request, and keep the specification of one that is there (CERTIFICATES-1)."""
    if old is not None:
        new["spec"] = old["spec"]
        return
    spec, user = new.setdefault("spec", {}), on.user
    for field in _REQUESTER:
        spec.pop(field, None)
    said = (user.name, user.uid, list(user.groups), {name: list(values) for name, values in user.extra.items()})
    spec.update({field: value for field, value in zip(_REQUESTER, said, strict=True) if value})


CERTIFICATE_REQUESTER = Plugin(
    "CertificateRequester", (CERTIFICATE_REQUESTS,), admits=name_requester, on_update=True, on_subresources=True
)
