"""Certificates and kubeconfigs: made once, kept, private, and accepted by the listener."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from tests.server.wire.test_http import request

from pvbinder.server.files.private_files import PrivateFileError
from pvbinder.server.identity import certificates as identity_module
from pvbinder.server.identity.certificates import Identity, kubeconfig
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.store.database import DataDirectoryError
from pvbinder.server.wire.http import Listener


def test_certificates_are_made_once_and_kept(tmp_path: Path) -> None:
    first = Identity.load_or_make(tmp_path / "pki")
    before = {path.name: path.read_bytes() for path in first.directory.iterdir()}
    Identity.load_or_make(tmp_path / "pki")
    assert {path.name: path.read_bytes() for path in first.directory.iterdir()} == before


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    assert {stat.S_IMODE(path.stat().st_mode) for path in identity.directory.iterdir()} == {0o600}
    assert stat.S_IMODE(identity.directory.stat().st_mode) == 0o700
    identity.write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1")
    assert stat.S_IMODE((tmp_path / "kubeconfig").stat().st_mode) == 0o600


def test_a_start_with_everything_in_place_does_not_import_cryptography(tmp_path: Path) -> None:
    Identity.load_or_make(tmp_path / "pki")
    code = (
        "import sys, pathlib; from pvbinder.server.identity.certificates import Identity;"
        " Identity.load_or_make(pathlib.Path(sys.argv[1])).server_context(); print('cryptography' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pki")], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def make_old(pki: Path) -> None:
    for name in ("server.crt", "admin.crt"):
        os.utime(pki / name, (1, 1))


def lose_a_key(pki: Path) -> None:
    (pki / "admin.key").unlink()


def damage_a_leaf(pki: Path) -> None:
    (pki / "admin.crt").write_bytes(b"-----BEGIN")


def mix_up_keys(pki: Path) -> None:
    (pki / "server.key").write_bytes((pki / "admin.key").read_bytes())


def do_nothing(_pki: Path) -> None:
    pass


RENEWED: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "they are for other hosts": (do_nothing, ["192.0.2.7"]),
    "they are old": (make_old, []),
    "one is missing": (lose_a_key, []),
    "one is damaged": (damage_a_leaf, []),
    "a key is another's": (mix_up_keys, []),
}


@pytest.mark.parametrize(("spoil", "hosts"), RENEWED.values(), ids=RENEWED.keys())
def test_leaves_are_renewed_under_the_same_authority_when(
    tmp_path: Path, spoil: Callable[[Path], None], hosts: list[str]
) -> None:
    before = Identity.load_or_make(tmp_path / "pki")
    authority, server = before.authority.read_bytes(), before.path("server.crt").read_bytes()
    spoil(before.directory)
    after = Identity.load_or_make(before.directory, hosts)
    assert after.authority.read_bytes() == authority
    assert after.path("server.crt").read_bytes() != server


@pytest.mark.parametrize("spoiled", [["ca.crt"], ["ca.crt", "ca.key", "server.crt"], ["ca.key", "admin.crt"]])
def test_a_damaged_authority_is_told_and_not_replaced(tmp_path: Path, spoiled: list[str]) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    for name in spoiled:
        identity.path(name).write_bytes(b"-----")
    with pytest.raises(DataDirectoryError, match=r"certificates in .* are damaged"):
        Identity.load_or_make(identity.directory)
    assert identity.path(spoiled[0]).read_bytes() == b"-----"


def open_to_others(path: Path) -> None:
    path.chmod(0o644)


def link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


@pytest.mark.parametrize("name", ["ca.key", "server.key", "admin.key", "admin.token"])
@pytest.mark.parametrize("spoil", [open_to_others, link])
def test_identity_1_a_secret_that_is_open_to_others_or_a_link_stops_the_start(
    tmp_path: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    before = identity.path(name).read_bytes()
    spoil(identity.path(name))
    with pytest.raises(PrivateFileError, match=name):
        Identity.load_or_make(identity.directory)
    assert identity.path(name).read_bytes() == before


@pytest.mark.parametrize("name", ["ca.crt", "server.crt", "admin.crt"])
def test_identity_1_a_certificate_that_others_may_write_stops_the_start(tmp_path: Path, name: str) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    identity.path(name).chmod(0o644)
    Identity.load_or_make(identity.directory)
    identity.path(name).chmod(0o666)
    with pytest.raises(PrivateFileError, match=f"others may write .*{name}"):
        Identity.load_or_make(identity.directory)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pki: os.truncate(pki / "ca.key", 0),
        lambda pki: (pki / "ca.key").write_bytes((pki / "server.key").read_bytes()),
        lambda pki: (pki / "ca.key").unlink(),
    ],
    ids=["cut", "another's", "missing"],
)
def test_identity_2_an_authority_without_its_key_is_told_at_each_start_and_not_replaced(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    authority = identity.authority.read_bytes()
    spoil(identity.directory)
    with pytest.raises(DataDirectoryError, match=r"certificates in .* are damaged: ca\."):
        Identity.load_or_make(identity.directory)
    assert identity.authority.read_bytes() == authority


@pytest.mark.parametrize("leaf", ["server", "admin"])
def test_identity_2_a_leaf_of_another_authority_is_made_anew(tmp_path: Path, leaf: str) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    other = Identity.load_or_make(tmp_path / "other")
    for suffix in ("crt", "key"):
        identity.path(f"{leaf}.{suffix}").write_bytes(other.path(f"{leaf}.{suffix}").read_bytes())
    foreign = identity.path(f"{leaf}.crt").read_bytes()
    Identity.load_or_make(identity.directory)
    assert identity.path(f"{leaf}.crt").read_bytes() != foreign


def test_identity_2_certificates_that_are_over_are_made_anew_whatever_the_times_of_their_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(identity_module, "LEAF_DAYS", 0)
        with pytest.raises(DataDirectoryError, match="expired"):
            Identity.load_or_make(tmp_path / "pki")
    identity = Identity.load_or_make(tmp_path / "pki")
    assert identity.problem() is None


def test_identity_2_an_authority_that_is_over_is_told_and_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_module, "AUTHORITY_DAYS", 0)
    with pytest.raises(DataDirectoryError, match="expired"):
        Identity.load_or_make(tmp_path / "pki")


@pytest.mark.parametrize("kept", [b"", b"short", b"\xff" * 43, b"x" * 44, b"A" * 43])
def test_what_cannot_be_a_token_is_made_anew(tmp_path: Path, kept: bytes) -> None:
    before = Identity.load_or_make(tmp_path / "pki")
    token = before.admin_token
    assert Identity.load_or_make(before.directory).admin_token == token
    before.path("admin.token").write_bytes(kept)
    after = Identity.load_or_make(before.directory)
    assert after.admin_token != token
    assert len(after.admin_token) == 43
    assert stat.S_IMODE(after.path("admin.token").stat().st_mode) == 0o600


def test_a_kubeconfig_holds_everything_or_a_token(tmp_path: Path) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    config = yaml.safe_load(kubeconfig(identity, "https://127.0.0.1:6443"))
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    users = {user["name"]: user["user"] for user in config["users"]}
    contexts = {context["name"]: context["context"]["user"] for context in config["contexts"]}
    assert users[contexts[config["current-context"]]] == {"token": identity.admin_token}
    by_certificate = config["users"][0]["user"]  # where clients look that want one
    assert by_certificate is users[contexts["pvbinder-certificate"]]
    for field, name in (("client-certificate-data", "admin.crt"), ("client-key-data", "admin.key")):
        assert base64.b64decode(by_certificate[field]) == identity.path(name).read_bytes()
    assert config["current-context"] == config["contexts"][0]["name"]
    with_token = yaml.safe_load(kubeconfig(identity, "https://127.0.0.1:6443", token='a"b'))
    assert with_token["users"][0]["user"] == {"token": 'a"b'}


async def whoami(asked: ApiRequest) -> ApiResponse:
    return ApiResponse(200, repr(asked.client_certificate and asked.client_certificate["subject"]).encode())


async def ask(port: int, context: ssl.SSLContext, host: str = "127.0.0.1") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    writer.write(request("GET", "/", Connection="close"))
    try:
        async with asyncio.timeout(20):
            return (await reader.read()).partition(b"\r\n\r\n")[2]
    finally:
        writer.close()


def trusting(identity: Identity) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(identity.authority))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "kubernetes.default.svc"])
async def test_a_client_can_verify_the_server_by_every_name_it_has(tmp_path: Path, host: str) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    async with Listener(whoami, tls=identity.server_context()) as listener:
        assert await ask(listener.port, trusting(identity), host) == b"None"


async def test_the_administrators_certificate_is_shown_to_the_dispatcher(tmp_path: Path) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    context = trusting(identity)
    context.load_cert_chain(identity.path("admin.crt"), identity.path("admin.key"))
    async with Listener(whoami, tls=identity.server_context()) as listener:
        subject = (await ask(listener.port, context)).decode()
    assert subject == "((('organizationName', 'system:masters'),), (('commonName', 'kubernetes-admin'),))"


async def test_a_certificate_of_another_authority_ends_the_connection(tmp_path: Path) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    with tempfile.TemporaryDirectory() as elsewhere:
        stranger = Identity.load_or_make(Path(elsewhere) / "pki")
        context = trusting(identity)
        context.load_cert_chain(stranger.path("admin.crt"), stranger.path("admin.key"))
    async with Listener(whoami, tls=identity.server_context()) as listener:
        answer = b""  # in TLS 1.3 the client learns of the refusal after its side of the handshake: an error or an end
        with suppress(ssl.SSLError, ConnectionError):
            answer = await ask(listener.port, context)
        assert answer == b""
        assert await ask(listener.port, trusting(identity)) == b"None"


def test_a_kubeconfig_that_says_the_same_is_not_written_again(tmp_path: Path) -> None:
    identity = Identity.load_or_make(tmp_path / "pki")
    path = tmp_path / "kubeconfig"
    identity.write_kubeconfig(path, "https://127.0.0.1:1")
    before = path.stat().st_ino
    identity.write_kubeconfig(path, "https://127.0.0.1:1")
    assert path.stat().st_ino == before, "a full disk is no reason not to start"
    identity.write_kubeconfig(path, "https://127.0.0.1:2")
    assert path.stat().st_ino != before
    assert ":2" in path.read_text()
