"""Why an API server may not know us any more: what credentials say of their own end.

EXPIRY-1  It never fails and never asks anybody: what can't be read says nothing.
EXPIRY-2  No text holds a credential.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import msgspec

_FORM = "%Y-%m-%d %H:%M:%S UTC"


class _Claims(msgspec.Struct):
    exp: float | None = None


def why_unknown(token: str, certificate: bytes | None, now: datetime) -> str:
    """Return which of the credentials is over since when, and what to do; empty if neither is, or it can't be told."""
    ends = [("token", _end_of_token(token)), ("client certificate", _end_of_certificate(certificate))]
    over = [f"the {what} expired at {end:{_FORM}}" for what, end in ends if end is not None and end <= now]
    return f"{' and '.join(over)}: get a new kubeconfig" if over else ""


def _end_of_token(token: str) -> datetime | None:
    """Read the end of a JSON web token; other tokens don't tell theirs."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        end = msgspec.json.decode(text, type=_Claims).exp
        return None if end is None else datetime.fromtimestamp(end, UTC)
    except (ValueError, msgspec.MsgspecError, OverflowError, OSError):
        return None


def _end_of_certificate(certificate: bytes | None) -> datetime | None:
    if certificate is None:
        return None
    from cryptography import x509  # the import takes long, and only refusals need it

    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError:
        return None
