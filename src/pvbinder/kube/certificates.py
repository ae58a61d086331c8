"""Client certificates that are only in memory, for a TLS library that reads files."""

from __future__ import annotations

import os
import ssl
import tempfile

from pvbinder.kube.errors import ConfigError


def load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Have `context` show a pair, as PEM; a file is there for a moment, for us alone. ConfigError if they are none."""
    descriptor, path = tempfile.mkstemp()  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(path, password=_no_password)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError("the client certificate and its key are no PEM, or don't belong together") from error
    finally:
        os.unlink(path)  # noqa: PTH108


def check_pair(certificate: bytes, key: bytes) -> None:
    """Raise ConfigError unless the two can be used together."""
    load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key)


def _no_password() -> str:
    raise ConfigError("the key of the client certificate has a password", hint="nobody can type it here: remove it")
