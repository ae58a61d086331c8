"""Client certificates over real TLS: a certificate of our authority names its user, every other one is refused."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.server.serving import Serving, serving

from pvbinder.server.identity.certificates import Identity
from pvbinder.server.wire.http import Listener

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
BODY = b'{"spec":{}}'
PEM = serialization.Encoding.PEM
Key = ec.EllipticCurvePrivateKey


@dataclass(slots=True)
class Made:
    """A certificate made for a test: its subject, its signer, its time and its purpose."""

    name: str = "ana"
    groups: tuple[str, ...] = ("devs", "ops")
    days: tuple[float, float] = (-1, 1)  # from and until when, as seen from now
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH
    signed_by_us: bool = True

    def write(self, identity: Identity, directory: Path) -> Path:
        """Write certificate and key into one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        authority, signs = authority_of(identity) if self.signed_by_us else self_made()
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in self.groups]
        parts += [x509.NameAttribute(NameOID.COMMON_NAME, self.name)] if self.name else []
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(parts))
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=self.days[0]))
            .not_valid_after(now + timedelta(days=self.days[1]))
        )
        if self.purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([self.purpose]), critical=False)
        secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path = directory / "client.pem"
        path.write_bytes(builder.sign(signs, hashes.SHA256()).public_bytes(PEM) + secret)
        return path


def authority_of(identity: Identity) -> tuple[x509.Name, Key]:
    key = serialization.load_pem_private_key(identity.path("ca.key").read_bytes(), None)
    assert isinstance(key, Key)
    return x509.load_pem_x509_certificate(identity.authority.read_bytes()).subject, key


def self_made() -> tuple[x509.Name, Key]:
    """An authority of the same name as ours, with another key."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pvbinder-ca")]), ec.generate_private_key(ec.SECP256R1())


@asynccontextmanager
async def listening(
    directory: Path, *, clock: Callable[[], float] = time.time
) -> AsyncGenerator[tuple[Serving, Identity, int]]:
    identity = Identity.load_or_make(directory / "pki")
    async with (
        serving(directory / "data", real_clock=clock) as server,
        Listener(server.dispatcher.handle, tls=identity.server_context()) as listener,
    ):
        yield server, identity, listener.port


async def who_am_i(identity: Identity, port: int, certificate: Path | None) -> tuple[str, list[str]] | None:
    """Ask who we are over a connection of our own; None if that is refused."""
    context = ssl.create_default_context(cafile=str(identity.authority))
    if certificate is not None:
        context.load_cert_chain(certificate)
    writer = None
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            head = f"POST {REVIEWS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(BODY)}\r\n"
            writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + BODY)
            answer = await reader.read()
    except (ssl.SSLError, ConnectionError):  # TLS 1.3 tells when the client reads first
        return None
    finally:
        if writer is not None:
            writer.transport.abort()
    head_text, _, body = answer.partition(b"\r\n\r\n")
    if b" 201 " not in head_text.partition(b"\r\n")[0]:
        return None
    user = msgspec.json.decode(body)["status"]["userInfo"]
    return user["username"], user["groups"]


async def test_who_shows_a_certificate_of_ours_is_whom_it_names(tmp_path: Path) -> None:
    async with listening(tmp_path) as (_, identity, port):
        shown = Made().write(identity, tmp_path)
        assert await who_am_i(identity, port, shown) == ("ana", ["devs", "ops", "system:authenticated"])
        assert await who_am_i(identity, port, None) == ("system:anonymous", ["system:unauthenticated"])


REFUSED = {
    "of another authority of our name": Made(signed_by_us=False),
    "that is over": Made(days=(-2, -0.01)),
    "that doesn't count yet": Made(days=(0.01, 2)),
    "for servers": Made(purpose=ExtendedKeyUsageOID.SERVER_AUTH),
    "for signing code": Made(purpose=ExtendedKeyUsageOID.CODE_SIGNING),
    "without a name": Made(name="", groups=("system:masters",)),
}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED.keys())
async def test_a_certificate_is_refused(tmp_path: Path, made: Made) -> None:
    async with listening(tmp_path) as (_, identity, port):
        assert await who_am_i(identity, port, made.write(identity, tmp_path)) is None
        assert await who_am_i(identity, port, None) is not None, "the server goes on"


async def test_the_servers_own_certificate_is_no_clients(tmp_path: Path) -> None:
    async with listening(tmp_path) as (_, identity, port):
        both = tmp_path / "both.pem"
        both.write_bytes(identity.path("server.crt").read_bytes() + identity.path("server.key").read_bytes())
        assert await who_am_i(identity, port, both) is None


async def test_authentication_4_a_certificate_ends_on_an_open_connection(tmp_path: Path) -> None:
    """TLS looks at the time of a certificate once, when the connection begins."""
    async with listening(tmp_path, clock=lambda: time.time() + 2 * 86400) as (_, identity, port):
        shown = Made(days=(-1, 1)).write(identity, tmp_path)
        assert await who_am_i(identity, port, shown) is None
