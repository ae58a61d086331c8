"""The server's side of TLS: its certificate, and the verification of client certificates."""

from __future__ import annotations

import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path, client_authority: Path) -> ssl.SSLContext:
    """Return a context that shows `certificate` and takes client certificates signed by `client_authority`.

    A client may show none (it may have a token, or ask as nobody); one signed by others ends the handshake.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_RENEGOTIATION  # of TLS 1.2: a peer could have us agree anew again and again
    context.num_tickets = 0  # no client of an API server resumes a session, and a ticket holds its certificate
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context
