"""Requests for certificates: who asks is what the server knows, and who may decide and sign is what roles say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.certificate_requests import certificate_pem, request_pem, text
from tests.server.serving import Serving, serving

from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import UserInfo

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
ANA = UserInfo("ana", "7", ("devs", "system:authenticated"), {"team": ["a"]})
SIGNER = "example.com/s"


def body(signer: str = SIGNER, organization: str = "devs", **spec: Any) -> Json:
    asked = {"request": text(request_pem(organization)), "signerName": signer, "usages": ["client auth"], **spec}
    return {"metadata": {"name": "r"}, "spec": asked}


def approved(status: str = "Approved") -> Json:
    return {"status": {"conditions": [{"type": status, "status": "True", "reason": "R"}]}}


async def test_certificates_1_the_requester_is_who_asked_and_stays_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        forged: Json = {"username": "system:node:n", "uid": "1", "groups": ["system:masters"], "extra": {"x": ["y"]}}
        made = await server.send("POST", REQUESTS, body(**forged), user=ANA)
        assert made.status == 201, made.body
        asked = {name: made.body["spec"].get(name) for name in forged}
        assert asked == {"username": "ana", "uid": "7", "groups": list(ANA.groups), "extra": {"team": ["a"]}}
        for path in (f"{REQUESTS}/r", f"{REQUESTS}/r/status", f"{REQUESTS}/r/approval"):
            changed = await server.send("PATCH", path, {"spec": forged})
            assert (changed.status, changed.body["spec"]) == (200, made.body["spec"])


async def _let_ana(server: Serving, verb: str, signer: str) -> None:
    """Let ana write requests, and do `verb` for a signer."""
    of_requests = ["certificatesigningrequests", "certificatesigningrequests/status"]
    rules = [
        {
            "apiGroups": ["certificates.k8s.io"],
            "resources": [*of_requests, f"{of_requests[0]}/approval"],
            "verbs": ["*"],
        },
        {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": [signer], "verbs": [verb]},
    ]
    assert (await server.send("POST", ROLES, {"metadata": {"name": "r"}, "rules": rules})).status == 201
    reference = {"kind": "ClusterRole", "name": "r"}
    bound = {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [{"kind": "User", "name": "ana"}]}
    assert (await server.send("POST", BINDINGS, bound)).status == 201


FORBIDDEN = 'certificatesigningrequests.certificates.k8s.io "r" is forbidden'
REFUSED = FORBIDDEN + ': user not permitted to {} requests with signerName "{}"'
MAY: dict[str, tuple[str, str, str, Json, str]] = {
    "to approve for the signer": ("approve", SIGNER, "approval", approved(), ""),
    "to approve for all of its domain": ("approve", "example.com/*", "approval", approved(), ""),
    "to approve for another signer": ("approve", "example.com/t", "approval", approved(), "approve"),
    "to sign only, and approves": ("sign", SIGNER, "approval", approved(), "approve"),
    "to sign": ("sign", SIGNER, "status", {"status": {"certificate": text(certificate_pem())}}, ""),
    "to approve only, and signs": (
        "approve",
        SIGNER,
        "status",
        {"status": {"certificate": text(certificate_pem())}},
        "sign",
    ),
    "to approve only, and says it failed": ("approve", SIGNER, "status", approved("Failed"), "sign"),
    "to approve only, and changes nothing of the status": (
        "approve",
        SIGNER,
        "status",
        {"metadata": {"labels": {"a": "b"}}},
        "",
    ),
}


@pytest.mark.parametrize(("verb", "signer", "part", "patch", "refused"), MAY.values(), ids=MAY.keys())
async def test_certificates_2_who_may_approve_and_sign(
    tmp_path: Path, verb: str, signer: str, part: str, patch: Json, refused: str
) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await server.send("POST", REQUESTS, body())
        await _let_ana(server, verb, signer)
        reply = await server.send("PATCH", f"{REQUESTS}/r/{part}", patch, user=ANA)
        if refused:
            assert (reply.status, reply.body["message"]) == (403, REFUSED.format(refused, SIGNER))
        else:
            assert reply.status == 200, reply.body


@pytest.mark.parametrize(
    ("signer", "organization", "status"),
    [
        ("kubernetes.io/kube-apiserver-client", "system:masters", 403),
        ("kubernetes.io/kube-apiserver-client", "devs", 201),
        (SIGNER, "system:masters", 201),
    ],
)
async def test_certificates_3_nobody_asks_for_a_certificate_of_masters(
    tmp_path: Path, signer: str, organization: str, status: int
) -> None:
    async with serving(tmp_path) as server:
        reply = await server.send("POST", REQUESTS, body(signer, organization))
        assert reply.status == status
        if status == 403:
            assert reply.body["message"] == (
                'certificatesigningrequests.certificates.k8s.io "r" is forbidden: use of '
                "kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
            )


async def test_a_request_is_approved_and_issued(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", REQUESTS, body())
        decided = await server.send("PATCH", f"{REQUESTS}/r/approval", approved())
        (condition,) = decided.body["status"]["conditions"]
        assert condition["lastUpdateTime"]
        assert condition["lastUpdateTime"] == condition["lastTransitionTime"]
        issued = await server.send(
            "PATCH", f"{REQUESTS}/r/status", {"status": {"certificate": text(certificate_pem()), "conditions": None}}
        )
        assert issued.status == 422, "what was decided can't be taken back"
        issued = await server.send(
            "PATCH", f"{REQUESTS}/r/status", {"status": {"certificate": text(certificate_pem())}}
        )
        assert (issued.status, issued.body["status"]["conditions"]) == (200, [condition])
        found = await server.send("GET", f"{REQUESTS}?fieldSelector=spec.signerName={SIGNER}")
        assert [item["metadata"]["name"] for item in found.body["items"]] == ["r"]
