"""Certificates and requests for them, as PEM: what makes them none.

`cryptography` is imported with the first one that is looked at: most servers see none.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_BORDER: Final = re.compile(rb"-----(BEGIN|END) ([^-]*)-----[ \t\r]*")
_REQUEST: Final = "CERTIFICATE REQUEST"
_CERTIFICATE: Final = "CERTIFICATE"


class Block(NamedTuple):
    """One block: its type, whether it has headers, and what is in it (None if that isn't base64)."""

    type: str
    has_headers: bool
    content: bytes | None


def blocks_of(data: bytes) -> Iterator[Block]:
    """Give the PEM blocks of a text; each line is looked at once."""
    name, lines = b"", list[bytes]()
    for line in data.split(b"\n"):
        border = _BORDER.fullmatch(line)
        if border is None:
            lines.append(line)
        elif border[1] == b"BEGIN":
            name, lines = border[2], []
        elif name and border[2] == name:
            yield _block(name, lines)
            name = b""


def _block(name: bytes, lines: list[bytes]) -> Block:
    try:
        content = base64.b64decode(b"".join(line.strip() for line in lines if b":" not in line), validate=True)
    except binascii.Error:
        content = None
    return Block(name.decode(errors="replace"), any(b":" in line for line in lines), content)


def why_no_request(data: bytes) -> str:
    """Say why a text is no request for a certificate that its key has signed; "" if it is one."""
    from cryptography import x509

    block = next((block for block in blocks_of(data) if block.content is not None), None)
    if block is None or block.type != _REQUEST:
        return f"PEM block type must be {_REQUEST}"
    try:
        request = x509.load_der_x509_csr(block.content or b"")
        return "" if request.is_signature_valid else "x509: the signature of the request is not valid"
    except Exception as error:  # noqa: BLE001 - whatever somebody else's parser makes of somebody's bytes
        return f"x509: malformed certificate request: {error}"


def organizations_of(data: bytes) -> list[str]:
    """Return the organisations that a right request is for."""
    from cryptography import x509

    block = next(block for block in blocks_of(data) if block.content is not None)
    request = x509.load_der_x509_csr(block.content or b"")
    return [str(part.value) for part in request.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)]


def why_no_certificates(data: bytes) -> str:
    """Say why a text is no chain of certificates; "" if it is one, or is empty."""
    if not data:
        return ""
    from cryptography import x509

    blocks = [block for block in blocks_of(data) if block.content is not None]
    for block in blocks:
        if block.type != _CERTIFICATE:
            return f'only CERTIFICATE PEM blocks are allowed, found "{block.type}"'
        if block.has_headers:
            return "no PEM block headers are permitted"
        if not block.content:
            return "found CERTIFICATE PEM block containing 0 certificates"
        try:
            x509.load_der_x509_certificate(block.content)
        except ValueError as error:
            return f"x509: malformed certificate: {error}"
    return "" if blocks else "must contain at least one CERTIFICATE PEM block"
