"""Requests for certificates, as openssl makes them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

_KEY = ec.generate_private_key(ec.SECP256R1())


def _name(organization: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization)])


def text(data: bytes) -> str:
    """Bytes as they are in JSON."""
    return base64.b64encode(data).decode()


@cache
def request_pem(organization: str = "devs") -> bytes:
    """A signed request for a member of an organisation."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(organization))
    return builder.sign(_KEY, SHA256()).public_bytes(Encoding.PEM)


@cache
def certificate_pem() -> bytes:
    """A certificate that nobody would trust."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name("devs"))
        .issuer_name(_name("devs"))
        .public_key(_KEY.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
    )
    return builder.sign(_KEY, SHA256()).public_bytes(Encoding.PEM)
