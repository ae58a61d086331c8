"""What requests for certificates refuse, in the reference's words where it has words of its own."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.certificate_requests import certificate_pem, request_pem, text
from tests.server.kinds.writes import change_refusals, changed, merged, new, refusals, stored

from pvbinder.server.kinds.built_in.signing_requests import SIGNING_REQUEST
from pvbinder.server.kinds.validation.pem import why_no_certificates, why_no_request
from pvbinder.server.objects.kind import Json

SPEC = {"request": text(request_pem()), "signerName": "example.com/s", "usages": ["client auth"]}


def spec(**fields: Any) -> Json:
    return merged(SPEC, fields)


LABEL = (
    "a lowercase RFC 1123 {} must consist of lower case alphanumeric characters, {}, and must start and end with an "
    "alphanumeric character (e.g. {}, regex used for validation is {})"
).format
LABEL_1123 = LABEL("label", "or '-'", "'my-name',  or '123-abc'", "'[a-z0-9]([-a-z0-9]*[a-z0-9])?'").replace(
    "characters, or", "characters or"
)
SUBDOMAIN = LABEL(
    "subdomain",
    "'-' or '.'",
    "'example.com'",
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'",
)
REQUESTS: dict[str, tuple[Json, list[str]]] = {
    "one": (spec(), []),
    "one for ten minutes": (spec(expirationSeconds=600), []),
    "one for less": (
        spec(expirationSeconds=599),
        [
            (
                "spec.expirationSeconds: Invalid value: 599: "
                "may not specify a duration less than 600 seconds (10 minutes)"
            )
        ],
    ),
    "no request": (
        spec(request="YQ=="),
        ['spec.request: Invalid value: "YQ==": PEM block type must be CERTIFICATE REQUEST'],
    ),
    "no usages": (spec(usages=[]), ["spec.usages: Required value"]),
    "the same usage twice": (spec(usages=["any", "any"]), ['spec.usages[1]: Duplicate value: "any"']),
    "no signer": (spec(signerName=None), ["spec.signerName: Required value"]),
    "a signer of old": (
        spec(signerName="kubernetes.io/legacy-unknown"),
        [
            (
                'spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": '
                "the legacy signerName is not allowed via this API version"
            )
        ],
    ),
    "a signer without a domain": (
        spec(signerName="s"),
        [
            (
                'spec.signerName: Invalid value: "s": '
                "must be a fully qualified domain and path of the form 'example.com/signer-name'"
            )
        ],
    ),
    "a signer of nowhere": (
        spec(signerName="A/B"),
        [
            f'spec.signerName: Invalid value: "A": validating label "A": {LABEL_1123}',
            'spec.signerName: Invalid value: "A": should be a domain with at least two segments separated by dots',
            f'spec.signerName: Invalid value: "B": validating label "B": {SUBDOMAIN}',
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "errors"), REQUESTS.values(), ids=REQUESTS.keys())
def test_requests(given: Json, errors: list[str]) -> None:
    assert refusals(SIGNING_REQUEST, new(spec=given)) == errors


def test_usages_are_known() -> None:
    (error,) = refusals(SIGNING_REQUEST, new(spec=spec(usages=["client"])))
    assert error.startswith(
        'spec.usages[0]: Unsupported value: "client": supported values: "any", "cert sign", "client'
    )


def test_names_may_be_nearly_anything() -> None:
    assert refusals(SIGNING_REQUEST, new("Node:A_b", spec=spec())) == []


def made(*conditions: Json) -> Json:
    return merged(stored(SIGNING_REQUEST, new(spec=spec())), {"status": {"conditions": list(conditions)}})


APPROVED = {
    "type": "Approved", "status": "True", "lastUpdateTime": "2026-01-01T00:00:00Z",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}  # fmt: skip
DENIED = {**APPROVED, "type": "Denied"}
FAILED = {**APPROVED, "type": "Failed"}
DECISIONS: dict[str, tuple[list[Json], list[Json], list[str]]] = {
    "approved": ([], [APPROVED], []),
    "approved, and another says something": ([APPROVED], [APPROVED, {"type": "X", "status": "Unknown"}], []),
    "approved and denied": (
        [APPROVED],
        [APPROVED, DENIED],
        ['status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive'],
    ),
    "no more approved": (
        [APPROVED],
        [],
        ['status.conditions: Forbidden: updates may not remove a condition of type "Approved"'],
    ),
    "not approved": (
        [],
        [{**APPROVED, "status": "False"}],
        ['status.conditions[0].status: Unsupported value: "False": supported values: "True"'],
    ),
    "approved twice": (
        [],
        [APPROVED, APPROVED],
        ['status.conditions[1].type: Duplicate value: "Approved"'],
    ),
    "something without a type and a status": (
        [],
        [{}],
        ["status.conditions[0].type: Required value", "status.conditions[0].status: Required value"],
    ),
}


@pytest.mark.parametrize(("before", "after", "errors"), DECISIONS.values(), ids=DECISIONS.keys())
def test_decisions(before: list[Json], after: list[Json], errors: list[str]) -> None:
    assert change_refusals(SIGNING_REQUEST, made(*before), {"status": {"conditions": after}}, "approval") == errors


def test_a_signer_decides_nothing() -> None:
    assert change_refusals(SIGNING_REQUEST, made(), {"status": {"conditions": [APPROVED]}}, "status") == [
        'status.conditions: Forbidden: updates may not add a condition of type "Approved"'
    ]
    assert change_refusals(SIGNING_REQUEST, made(), {"status": {"conditions": [FAILED]}}, "status") == []
    reworded = [{**APPROVED, "message": "m"}]
    kept = changed(SIGNING_REQUEST, made(APPROVED), {"status": {"conditions": reworded}}, subresource="status")
    assert kept["status"]["conditions"] == [APPROVED]


def test_an_approver_issues_nothing() -> None:
    issued = {"certificate": text(certificate_pem()), "conditions": [APPROVED]}
    kept = changed(SIGNING_REQUEST, made(), {"status": issued}, subresource="approval")
    assert kept["status"] == {"conditions": [APPROVED]}


def test_a_certificate_is_issued_once() -> None:
    certificate = text(certificate_pem())
    issued = changed(SIGNING_REQUEST, made(APPROVED), {"status": {"certificate": certificate}}, subresource="status")
    assert issued["status"]["certificate"] == certificate
    other = text(certificate_pem() * 2)
    assert change_refusals(SIGNING_REQUEST, issued, {"status": {"certificate": other}}, "status") == [
        "status.certificate: Forbidden: updates may not modify existing certificate content"
    ]
    assert change_refusals(SIGNING_REQUEST, made(APPROVED), {"status": {"certificate": "YQ=="}}, "status") == [
        (
            'status.certificate: Invalid value: "<certificate data>": '
            "must contain at least one CERTIFICATE PEM block"
        )
    ]  # fmt: skip


def test_the_request_itself_stays() -> None:
    before = made(APPROVED)
    kept = changed(SIGNING_REQUEST, before, {"spec": {"usages": ["any"]}, "status": None})
    assert (kept["spec"], kept["status"]) == (before["spec"], before["status"])


CERTIFICATE, REQUEST = certificate_pem(), request_pem()
PEM: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", ""),
    "a chain, and words between": (CERTIFICATE + b"words\n" + CERTIFICATE, ""),
    "a request": (REQUEST, 'only CERTIFICATE PEM blocks are allowed, found "CERTIFICATE REQUEST"'),
    "headers": (
        CERTIFICATE.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nA: b\n\n", 1),
        "no PEM block headers are permitted",
    ),
    "an empty block": (
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "found CERTIFICATE PEM block containing 0 certificates",
    ),
    "a block without an end": (
        b"-----BEGIN CERTIFICATE-----\nYQ==\n",
        "must contain at least one CERTIFICATE PEM block",
    ),
    "words": (b"words", "must contain at least one CERTIFICATE PEM block"),
}


@pytest.mark.parametrize(("data", "why"), PEM.values(), ids=PEM.keys())
def test_certificates(data: bytes, why: str) -> None:
    assert why_no_certificates(data) == why


@pytest.mark.parametrize(
    "data", [b"\x00" * 99, b"-----BEGIN CERTIFICATE REQUEST-----\nYQ==\n-----END CERTIFICATE REQUEST-----"]
)
def test_what_is_no_request_is_said_to_be_none(data: bytes) -> None:
    assert why_no_request(data)


def test_a_request_that_somebody_changed() -> None:
    lines = REQUEST.split(b"\n")
    lines[-3] = lines[-3][:-9] + (b"AAAA" if lines[-3][-9:-5] != b"AAAA" else b"BBBB") + lines[-3][-5:]
    assert "signature" in why_no_request(b"\n".join(lines)) or "malformed" in why_no_request(b"\n".join(lines))


def test_text_with_very_many_beginnings_is_read_once() -> None:
    assert why_no_certificates(b"-----BEGIN CERTIFICATE-----\n" * 100_000).startswith("must contain")
