"""What credentials say of their own end (EXPIRY-1, EXPIRY-2)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pvbinder.kube.expiry import why_unknown

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def token(claims: bytes) -> str:
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


def certificate(end: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "us")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(end - timedelta(days=1))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_expiry_1_what_is_over_is_said_with_its_time_and_what_to_do() -> None:
    hour = timedelta(hours=1)
    assert why_unknown("", certificate(NOW - hour), NOW) == (
        "the client certificate expired at 2026-11-29 11:00:00 UTC: get a new kubeconfig"
    )
    assert why_unknown("", certificate(NOW + hour), NOW) == ""
    assert why_unknown(token(b'{"exp":1764417600}'), certificate(NOW - hour), NOW).startswith(
        "the token expired at 2025"
    )
    assert why_unknown(token(b'{"exp":1895951000}'), None, NOW) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "opaque",
        "a.b.c",
        "...",
        "a.\u00e9.c",
        token(b"{}"),
        token(b"[]"),
        token(b'{"exp":"soon"}'),
        token(b'{"exp":1e300}'),
    ],
)
def test_expiry_1_what_can_not_be_read_says_nothing(text: str) -> None:
    assert why_unknown(text, None, NOW) == ""
    assert why_unknown(text, b"no certificate", NOW) == ""


def test_expiry_2_no_text_holds_a_credential() -> None:
    secret = token(b'{"exp":1,"sub":"hidden"}')
    said = why_unknown(secret, None, NOW)
    assert "1970" in said
    assert not any(part in said for part in secret.split("."))
