"""Requests for certificates: who asks is what the server knows."""

from __future__ import annotations

from pathlib import Path

from tests.server.serving import serving

from pvbinder.server.requests import UserInfo

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
ANA = UserInfo("ana", "7", ("devs", "system:authenticated"), {"team": ["a"]})


async def test_certificates_1_the_requester_is_who_asked_and_stays_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        forged = {"username": "system:node:n", "uid": "1", "groups": ["system:masters"], "extra": {"x": ["y"]}}
        spec = {"request": "YQ==", "signerName": "example.com/s", "usages": ["client auth"], **forged}
        made = await server.send("POST", REQUESTS, {"metadata": {"name": "r"}, "spec": spec}, user=ANA)
        assert made.status == 201, made.body
        asked = {name: made.body["spec"].get(name) for name in forged}
        assert asked == {"username": "ana", "uid": "7", "groups": list(ANA.groups), "extra": {"team": ["a"]}}
        for path in (f"{REQUESTS}/r", f"{REQUESTS}/r/status"):
            changed = await server.send("PATCH", path, {"spec": forged})
            assert (changed.status, changed.body["spec"]) == (200, made.body["spec"])
