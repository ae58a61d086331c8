"""The certificate that an endpoint shows, and the authority of those who show one to it.

SERVING-1  Files are looked at again each minute: a renewed certificate is shown to whoever connects from then on, and a
           pair that can't be used changes nothing but the log.
SERVING-2  Without files it shows one that it made for itself, as the reference does: encrypted, and known to nobody.
SERVING-3  The key is never written anywhere but to a file of ours that is gone again at once.
SERVING-4  With a directory the pair in it is shown; one that was made is left there for the next start, readable by us
           alone. A certificate without its key, or the reverse, is an error, as in the reference.
SERVING-5  A cipher suite that there is not, or that is broken, is refused by name.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import socket
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pvbinder import logs
from pvbinder.files import UnreadableFileError, read_file
from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.private_files import PrivateFileError, write_private

LOOK_SECONDS: Final = 60.0
FILE_BYTES_MAX: Final = 1 << 20
OWN_DAYS: Final = 365
PAIR_NAME: Final = "pvbinder"  # of the files in a directory
CIPHER_SUITES: Final = {  # of TLS 1.2, by IANA's names; as Go has them, without RC4 and 3DES
    f"TLS_{key.replace('-', '_') if key else 'RSA'}_WITH_{iana}": f"{key + '-' if key else ''}{here}"
    for key in ("ECDHE-ECDSA", "ECDHE-RSA", "")
    for iana, here in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("AES_128_CBC_SHA256", "AES128-SHA256"),
    )
} | {
    f"TLS_{key}_WITH_CHACHA20_POLY1305{end}": f"{key.replace('_', '-')}-CHACHA20-POLY1305"
    for key in ("ECDHE_ECDSA", "ECDHE_RSA")
    for end in ("", "_SHA256")
}
SUITES_OF_TLS_13: Final = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)
VERSIONS: Final = {"VersionTLS12": ssl.TLSVersion.TLSv1_2, "VersionTLS13": ssl.TLSVersion.TLSv1_3}

log = logs.get(__name__)


class ServingError(PvbinderError):
    """The files of the endpoint's certificate can't be used."""


class ServingCertificate:
    """The TLS side of an endpoint: construct it, give `context` to a listener, and run `keep_current()` beside."""

    def __init__(
        self,
        files: tuple[Path, Path] | None = None,
        client_authority: bytes | None = None,
        *,
        version: str = "",
        cipher_suites: Sequence[str] = (),
    ) -> None:
        """Read certificate and key from `files` (SERVING-2 without); raises ServingError if they can't be used."""
        self._files = files
        self._shown: tuple[bytes, bytes] | None = None
        self.context = context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = VERSIONS[version] if version else ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        _choose(context, cipher_suites)
        context.set_alpn_protocols(["h2", "http/1.1"])
        if client_authority is not None:
            self.trust(client_authority)
        if files is None:
            self._show(*_made_for_ourselves())
        else:
            self._show(*_read(files))

    def trust(self, client_authority: bytes) -> None:
        """Take certificates of clients that `client_authority`, as PEM, has signed; raises ServingError for no PEM."""
        try:
            self.context.load_verify_locations(cadata=client_authority.decode("ascii"))
        except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
            raise ServingError("the authority of client certificates is no PEM certificate") from error
        self.context.verify_mode = ssl.CERT_OPTIONAL

    async def keep_current(self) -> None:
        """Look at the files again and again until cancelled (SERVING-1)."""
        while self._files is not None:
            await asyncio.sleep(LOOK_SECONDS)
            self.look_again(self._files)

    def look_again(self, files: tuple[Path, Path]) -> None:
        """Show what is in `files` now, if it has changed and can be used."""
        try:
            found = _read(files)
            if found != self._shown:
                self._show(*found)
                log.info("certificate of the endpoint renewed", file=str(files[0]))
        except ServingError as error:
            log.warning("certificate of the endpoint can't be renewed: the one before is shown", err=error.message)

    def _show(self, certificate: bytes, key: bytes) -> None:
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)  # a bad pair must not touch the one in use
        _load(self.context, certificate, key)
        self._shown = (certificate, key)


def _choose(context: ssl.SSLContext, names: Sequence[str]) -> None:
    """Take only these cipher suites (SERVING-5)."""
    for name in names:
        if name not in CIPHER_SUITES and name not in SUITES_OF_TLS_13:
            near = difflib.get_close_matches(name.upper(), CIPHER_SUITES, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            raise ServingError(f"--tls-cipher-suites: there is no safe cipher suite {name}{meant}")
    chosen = [CIPHER_SUITES[name] for name in names if name in CIPHER_SUITES]
    if not names:
        return
    if not chosen:  # none of TLS 1.2
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    try:
        context.set_ciphers(":".join(chosen))
    except ssl.SSLError as error:
        raise ServingError("--tls-cipher-suites: the library has none of them") from error


def found_or_made(directory: Path) -> tuple[Path, Path]:
    """Return the files of certificate and key in `directory`; make them if neither is there (SERVING-4)."""
    files = directory / f"{PAIR_NAME}.crt", directory / f"{PAIR_NAME}.key"
    try:
        there = [file.exists() for file in files]
    except OSError as error:
        raise ServingError(f"--cert-dir: {directory} can't be looked into: {error.strerror}") from error
    if any(there) and not all(there):
        missing, other = files if there[1] else files[::-1]
        raise ServingError(
            f"--cert-dir: {missing} is missing beside {other.name}: a certificate and its key come together",
            hint="put both there, or neither: then both are made",
        )
    if not any(there):
        certificate, key = _made_for_ourselves()
        try:
            write_private(files[1], key)
            write_private(files[0], certificate)
        except PrivateFileError as error:
            raise ServingError(f"--cert-dir: {error.message}", hint=error.hint) from error
    return files


def _read(files: tuple[Path, Path]) -> tuple[bytes, bytes]:
    try:
        return read_file(files[0], bytes_max=FILE_BYTES_MAX), read_file(files[1], bytes_max=FILE_BYTES_MAX)
    except UnreadableFileError as error:
        raise ServingError(error.message, hint="see --tls-cert-file and --tls-private-key-file") from error


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a pair that is in memory: the library reads files, so one is there for a moment, for us alone."""
    descriptor, path = tempfile.mkstemp()  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(path, password=_no_password)
    except (ssl.SSLError, OSError, ServingError) as error:
        raise ServingError(
            "the certificate and the key of the endpoint are no PEM, or don't belong together",
            hint="see --tls-cert-file and --tls-private-key-file; a key with a password is of no use here",
        ) from error
    finally:
        os.unlink(path)  # noqa: PTH108


def _no_password() -> str:
    raise ServingError("the key has a password")


def _made_for_ourselves() -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pvbinder")])
    now = datetime.now(UTC)
    names = [x509.DNSName(one) for one in dict.fromkeys(("localhost", socket.gethostname())) if one.isascii()]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=OWN_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem), secret
