"""Requests for certificates: who asks, who may approve and sign, and for whom nobody may ask.

CERTIFICATES-1  The requester in a CertificateSigningRequest is the user who created it, and stays so, whatever was
                sent: whoever signs it goes by that.
CERTIFICATES-2  Nobody approves without the right to ``approve`` for the signer, and nobody issues or says that it
                failed without the right to ``sign`` for it.
CERTIFICATES-3  Nobody asks the API server's own signer for a certificate of ``system:masters``.
"""

from __future__ import annotations

import base64
from typing import Final

from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import is_forbidden
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authentication import MASTERS
from pvbinder.server.kinds.built_in.signing_requests import SIGNING_REQUESTS
from pvbinder.server.kinds.validation.pem import organizations_of
from pvbinder.server.objects.kind import Json

_REQUESTER: Final = ("username", "uid", "groups", "extra")
_CLIENT_SIGNER: Final = "kubernetes.io/kube-apiserver-client"


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


def check_rights_of_signer(_reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None) -> None:
    """Refuse what only who may approve or sign for the signer may write (CERTIFICATES-2)."""
    if old is None:
        return
    signer: str = old["spec"].get("signerName", "")
    if on.subresource == "approval" and not _may(on, "approve", signer):
        raise is_forbidden(on.resource, on.name, f'user not permitted to approve requests with signerName "{signer}"')
    if on.subresource == "status" and _signs(new, old) and not _may(on, "sign", signer):
        raise is_forbidden(on.resource, on.name, f'user not permitted to sign requests with signerName "{signer}"')


def _signs(new: Json, old: Json) -> bool:
    return any((new["status"].get(field) or None) != (old["status"].get(field) or None) for field in _SIGNED)


_SIGNED: Final = ("certificate", "conditions")


def _may(on: AdmissionAttributes, verb: str, signer: str) -> bool:
    """Say whether the user may do this for the signer, or for all signers of its domain."""
    domain = signer.partition("/")[0]
    return any(
        on.may(Attributes(verb, "", True, SIGNING_REQUESTS.group, "*", "signers", name=name))
        for name in (signer, f"{domain}/*")
    )


def refuse_masters(_reader: Reader, on: AdmissionAttributes, new: Json, _old: Json | None) -> None:
    """Refuse to ask for a certificate that may do everything (CERTIFICATES-3)."""
    spec: Json = new["spec"]
    if spec.get("signerName") != _CLIENT_SIGNER:
        return
    if MASTERS in organizations_of(base64.b64decode(spec["request"])):
        raise is_forbidden(on.resource, on.name, f"use of {_CLIENT_SIGNER} signer with {MASTERS} group is not allowed")


CERTIFICATE_REQUESTER = Plugin(
    "CertificateRequester", (SIGNING_REQUESTS,), admits=name_requester, on_update=True, on_subresources=True
)
CERTIFICATE_SIGNERS = Plugin(
    "CertificateApproval", (SIGNING_REQUESTS,), validates=check_rights_of_signer, on_update=True, on_subresources=True
)
CERTIFICATE_SUBJECT_RESTRICTION = Plugin("CertificateSubjectRestriction", (SIGNING_REQUESTS,), validates=refuse_masters)
