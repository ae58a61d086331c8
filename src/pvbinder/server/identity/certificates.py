"""The certificates of an embedded server and its administrator's token, made once and kept in its data directory.

A certificate authority of its own (ECDSA P-256), a server certificate for the loopback addresses and the host that is
listened on, and for the administrator a client certificate and a token of 256 bits. A kubeconfig has the token: a
connection shows its certificate whatever the requests on it say, so that none of them could be somebody else's, or
nobody's. Nothing secret leaves the directory except in a kubeconfig that somebody asks for. Everything is 0600.

IDENTITY-1  A key or token that is somebody else's, a link, or open to others stops the start, with its name.
IDENTITY-2  What is shown to clients is whole: keys belong to certificates, the authority signed those, none is over.
            A leaf that isn't so is made anew; an authority never is by itself, for clients trust it.

`cryptography` is imported only when something must be made: a start with everything in place needs none of it.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import secrets
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pvbinder.server.files.private_files import (
    PrivateFileError,
    cannot_write,
    check_file,
    check_secret,
    private_directory,
    read_secret,
    write_private,
)
from pvbinder.server.identity.authentication import MASTERS
from pvbinder.server.identity.tls import server_context
from pvbinder.server.store.database import DataDirectoryError

BY_CERTIFICATE = "pvbinder-certificate"  # a context and a user of the kubeconfig
ADMIN = "kubernetes-admin"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
CONTEXT = "pvbinder"
AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
TOKEN_CHARACTERS_DIFFERENT = 12  # 43 random ones have fewer different ones once in 10^20
SECRETS = ("ca.key", "server.key", "admin.key", "admin.token")
CERTIFICATES = ("ca.crt", "server.crt", "admin.crt", "hosts")
HANDSHAKE_TURNS_MAX = 8
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
RENEW_AFTER_SECONDS = 270 * 86400  # of a leaf's life, so that one that is used is never about to expire


@dataclass(frozen=True, slots=True)
class Identity:
    """The files of an authority, a server and an administrator."""

    directory: Path

    @classmethod
    def load_or_make(cls, directory: Path, hosts: Sequence[str] = ()) -> Identity:
        """Return what is in `directory`, making what is missing, worn out, damaged or not for these `hosts`.

        An authority that is damaged is never replaced by itself: kubeconfigs that somebody copied trust it.
        """
        try:
            private_directory(directory)
        except OSError as error:
            raise cannot_write(directory, error) from error
        identity = cls(directory)
        names = sorted({*LOOPBACK, *SERVICE_NAMES, *hosts})
        identity._check_files()
        has_authority = identity._check_authority()
        try:
            if not has_authority or not identity._is_fresh(names):
                _make(identity, names, keep_authority=has_authority)
            problem = identity.problem()
        except (ValueError, TypeError, ssl.SSLError) as error:
            raise _damaged(directory, str(error)) from error
        if problem is not None:
            raise _damaged(directory, problem)
        if identity._read_token() is None:
            write_private(identity.path("admin.token"), secrets.token_urlsafe(32).encode())
        return identity

    def path(self, name: str) -> Path:
        """Return the path of one of the files."""
        return self.directory / name

    @property
    def admin_token(self) -> str:
        """The administrator's bearer token."""
        token = self._read_token()
        assert token is not None, "load_or_make() has seen to it"
        return token

    @property
    def authority(self) -> Path:
        """The certificate of the authority, which clients need to trust the server."""
        return self.path("ca.crt")

    def server_context(self) -> ssl.SSLContext:
        """Return the TLS context of the server."""
        return server_context(self.path("server.crt"), self.path("server.key"), self.authority)

    def write_kubeconfig(self, path: Path, url: str, *, token: str | None = None) -> None:
        """Write a kubeconfig for the server at `url` (mode 0600), for the administrator or for whose `token` it is.

        One that says the same already stays: a full disk is no reason not to start.
        """
        text = kubeconfig(self, url, token).encode()
        with suppress(OSError, PrivateFileError):
            if read_secret(path) == text:
                return
        write_private(path, text)

    def _read_token(self) -> str | None:
        """Return the token that is kept; None where there is none, or what can't be one."""
        try:
            kept = read_secret(self.path("admin.token")).decode("ascii", "replace")
        except FileNotFoundError:
            return None
        return kept if _TOKEN.fullmatch(kept) and len(set(kept)) >= TOKEN_CHARACTERS_DIFFERENT else None

    def _check_files(self) -> None:
        """Refuse what is somebody else's, or open to others (IDENTITY-1)."""
        for name in SECRETS:
            with suppress(FileNotFoundError):
                check_secret(self.path(name))
        for name in CERTIFICATES:
            check_file(self.path(name))

    def _check_authority(self) -> bool:
        """Return whether there is an authority; refuse one that isn't whole (IDENTITY-2)."""
        if not self.authority.exists():
            return False  # a key alone is what a first start leaves that was killed: nobody trusts it yet
        if not self.path("ca.key").exists():
            raise _damaged(self.directory, "ca.key is missing")
        if not _is_pair(self.authority, self.path("ca.key")):
            raise _damaged(self.directory, "ca.crt and ca.key are no certificate and its key")
        return True

    def problem(self) -> str | None:
        """Return what is wrong with the certificates as they would be used: they shake hands, in memory.

        That asks everything at once: that each key belongs to its certificate, that the authority signed both, that
        none of them is over yet, and that the server's has the name.
        """
        client = ssl.create_default_context(cafile=str(self.authority))
        client.load_cert_chain(self.path("admin.crt"), self.path("admin.key"))
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        sides = [
            self.server_context().wrap_bio(to_server, to_client, server_side=True),
            client.wrap_bio(to_client, to_server, server_hostname=LOOPBACK[0]),
        ]
        waiting = sides
        for _ in range(HANDSHAKE_TURNS_MAX):
            still = []
            for side in waiting:
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    still.append(side)
                except ssl.SSLCertVerificationError as error:
                    return error.verify_message
                except ssl.SSLError as error:
                    return error.reason or str(error)
            waiting = still
            if not waiting:
                return None
        return "their handshake doesn't end"

    def _is_fresh(self, names: Sequence[str]) -> bool:
        try:
            made = min(self.path(name).stat().st_mtime for name in ("server.crt", "admin.crt"))
            for name in ("server", "admin"):
                if not _is_pair(self.path(f"{name}.crt"), self.path(f"{name}.key")):
                    return False
            return (
                self.path("hosts").read_text().split() == list(names)
                and 0 <= time.time() - made < RENEW_AFTER_SECONDS
                and self.problem() is None
            )
        except (OSError, ValueError):  # an ssl.SSLError is an OSError
            return False


def kubeconfig(identity: Identity, url: str, token: str | None = None) -> str:
    """Return the text of a kubeconfig for the server at `url`: the administrator's token in it, or `token`.

    The administrator's offers a certificate, too, to who asks for that user: a client that shows one can't be anybody
    else on the same connection, so the current user shows none.
    """
    credentials = f"token: {json.dumps(token or identity.admin_token)}"
    first_user = first_context = ""
    if token is None:
        first_user = f"""
- name: {BY_CERTIFICATE}
  user:
    client-certificate-data: {_encoded(identity.path("admin.crt"))}
    client-key-data: {_encoded(identity.path("admin.key"))}
    {credentials}"""
        first_context = f"""
- name: {BY_CERTIFICATE}
  context:
    cluster: {CONTEXT}
    user: {BY_CERTIFICATE}
    namespace: default"""
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {CONTEXT}
  cluster:
    server: {url}
    certificate-authority-data: {_encoded(identity.authority)}
users:{first_user}
- name: {ADMIN}
  user:
    {credentials}
contexts:
- name: {CONTEXT}
  context:
    cluster: {CONTEXT}
    user: {ADMIN}
    namespace: default{first_context}
current-context: {CONTEXT}
preferences: {{}}
"""


def _is_pair(certificate: Path, key: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError):  # an ssl.SSLError is an OSError
        return False
    return True


def _no_password() -> str:
    raise ValueError("a key of ours has no password")  # without this, the library would ask at the terminal


def _damaged(directory: Path, why: str) -> DataDirectoryError:
    return DataDirectoryError(
        f"the certificates in {directory} are damaged: {why}",
        hint=f"put back a copy, or delete {directory}: they are made anew, and so is the kubeconfig",
    )


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _make(identity: Identity, names: Sequence[str], *, keep_authority: bool) -> None:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.now(UTC) - timedelta(minutes=5)  # clocks differ a little

    def save(name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        write_private(identity.path(f"{name}.key"), secret)
        write_private(identity.path(f"{name}.crt"), certificate.public_bytes(pem))

    def subject(common_name: str, organization: str = "") -> x509.Name:
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
        return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    def builder(of: x509.Name, by: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(of)
            .issuer_name(by)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=days))
        )

    def usage(*, signs_certificates: bool) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=signs_certificates,
            crl_sign=signs_certificates,
            encipher_only=False,
            decipher_only=False,
        )

    if keep_authority:
        authority = x509.load_pem_x509_certificate(identity.authority.read_bytes())
        loaded = serialization.load_pem_private_key(identity.path("ca.key").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        authority_key = loaded
    else:
        authority_key = ec.generate_private_key(ec.SECP256R1())
        name = subject("pvbinder-ca")
        authority = (
            builder(name, name, authority_key, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        save("ca", authority, authority_key)

    def leaf(
        of: x509.Name, purpose: x509.ObjectIdentifier, alternatives: Sequence[x509.GeneralName] = ()
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            builder(of, authority.subject, key, LEAF_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )
        if alternatives:
            made = made.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return made.sign(authority_key, hashes.SHA256()), key

    def alternative(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    served = leaf(subject("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, [alternative(name) for name in names])
    save("server", *served)
    save("admin", *leaf(subject(ADMIN, MASTERS), ExtendedKeyUsageOID.CLIENT_AUTH))
    write_private(identity.path("hosts"), "\n".join(names).encode())
