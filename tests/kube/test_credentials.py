"""Tokens that change and programs that give them (CREDENTIALS-1 to CREDENTIALS-4)."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.virtual_time import on_virtual_time

from pvbinder.kube.config import ConnectionConfig, ExecPlugin
from pvbinder.kube.credentials import CredentialSource
from pvbinder.kube.errors import ConfigError
from pvbinder.server.identity.certificates import Identity

NOW = datetime(2026, 3, 1, tzinfo=UTC)
V1 = "client.authentication.k8s.io/v1"

PLUGIN = """
import json, os, pathlib, sys
directory = pathlib.Path(sys.argv[1])
count = len(list(directory.glob("run-*")))
(directory / f"run-{count}").write_text(os.environ["KUBERNETES_EXEC_INFO"])
answer = json.loads((directory / "answer").read_text())
answer["status"]["token"] += str(count)
print(json.dumps(answer))
"""


def exec_config(tmp_path: Path, status: dict[str, str], **fields: bool) -> ConnectionConfig:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "answer").write_text(json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status}))
    plugin = ExecPlugin(sys.executable, (str(tmp_path / "plugin.py"), str(tmp_path)), **fields)  # type: ignore[arg-type]
    return ConnectionConfig("https://a", ca=b"the ca", exec_plugin=plugin)


def pair(tmp_path: Path, name: str = "pki") -> tuple[bytes, bytes]:
    """A client certificate and its key."""
    made = Identity.load_or_make(tmp_path / name)
    return made.path("admin.crt").read_bytes(), made.path("admin.key").read_bytes()


def runs(tmp_path: Path) -> int:
    return len(list(tmp_path.glob("run-*")))


@on_virtual_time
async def test_what_never_changes() -> None:
    source = CredentialSource(ConnectionConfig("https://a", token="t", client_certificate=b"c", client_key=b"k"))

    credentials = await source.get()

    assert (credentials.token, credentials.certificate, credentials.key) == ("t", b"c", b"k")
    assert not source.can_change


@on_virtual_time
async def test_credentials_1_a_token_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    source = CredentialSource(ConnectionConfig("https://a", token_file=file))

    assert (await source.get()).token == "first"
    file.write_text("second")
    await asyncio.sleep(59)
    assert (await source.get()).token == "first"
    await asyncio.sleep(1)
    assert (await source.get()).token == "second"
    file.unlink()
    await asyncio.sleep(60)
    assert (await source.get()).token == "second"


@on_virtual_time
async def test_credentials_1_a_rejected_token_is_read_again_at_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    source = CredentialSource(ConnectionConfig("https://a", token_file=file))
    first = await source.get()
    file.write_text("second")

    source.reject(first)

    second = await source.get()
    source.reject(first)  # the late 401 of another request
    assert (second.token, await source.get()) == ("second", second)


@on_virtual_time
async def test_credentials_1_a_token_file_that_never_was(tmp_path: Path) -> None:
    source = CredentialSource(ConnectionConfig("https://a", token_file=tmp_path / "token"))

    with pytest.raises(ConfigError, match="token can't be read"):
        await source.get()


async def test_credentials_2_a_plugin_runs_once_until_its_answer_expires(tmp_path: Path) -> None:
    expires = (NOW + timedelta(minutes=10)).isoformat().replace("+00:00", "Z")
    now = NOW
    source = CredentialSource(exec_config(tmp_path, {"token": "t", "expirationTimestamp": expires}), now=lambda: now)

    first = await asyncio.gather(*(source.get() for _ in range(5)))
    now = NOW + timedelta(minutes=9, seconds=51)
    again = await source.get()

    assert {credentials.token for credentials in first} == {"t0"}
    assert again.token == "t1"
    assert runs(tmp_path) == 2


async def test_credentials_2_a_plugin_runs_again_after_a_refusal(tmp_path: Path) -> None:
    source = CredentialSource(exec_config(tmp_path, {"token": "t"}), now=lambda: NOW)

    source.reject(await source.get())

    assert (await source.get()).token == "t1"


async def test_a_plugin_learns_about_the_cluster(tmp_path: Path) -> None:
    source = CredentialSource(exec_config(tmp_path, {"token": "t"}, provide_cluster_info=True))

    await source.get()

    assert json.loads((tmp_path / "run-0").read_text()) == {
        "apiVersion": V1,
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            "cluster": {
                "server": "https://a",
                "insecure-skip-tls-verify": False,
                "certificate-authority-data": "dGhlIGNh",
            },
        },
    }


async def test_a_plugin_may_give_a_certificate(tmp_path: Path) -> None:
    certificate, key = pair(tmp_path)
    status = {"token": "", "clientCertificateData": certificate.decode(), "clientKeyData": key.decode()}
    source = CredentialSource(exec_config(tmp_path, status))

    credentials = await source.get()

    assert (credentials.certificate, credentials.key) == (certificate, key)


FAILING = {  # what the program does: its text, and what is said
    "fails": ("import sys; print('secret'); sys.exit('not logged in')", "failed with 1: not logged in"),
    "says nothing": ("", "wrote no ExecCredential"),
    "says something else": ("print('{}')", "wrote no ExecCredential with a status"),
    "speaks another version": (
        'print(\'{"kind": "ExecCredential", "apiVersion": "v9", "status": {"token": "secret"}}\')',
        "speaks v9, not",
    ),
    "has nothing to give": (
        f'print(\'{{"kind": "ExecCredential", "apiVersion": "{V1}", "status": {{}}}}\')',
        "gave neither a token nor a client certificate",
    ),
}


@pytest.mark.parametrize(("program", "message"), FAILING.values(), ids=FAILING.keys())
async def test_credentials_3_a_failing_plugin_is_explained_without_its_output(program: str, message: str) -> None:
    source = CredentialSource(ConnectionConfig("https://a", exec_plugin=ExecPlugin(sys.executable, ("-c", program))))

    with pytest.raises(ConfigError, match=message) as caught:
        await source.get()
    assert "secret" not in str(caught.value)


async def test_a_plugin_that_is_not_installed() -> None:
    plugin = ExecPlugin("no-such-program", install_hint="brew install it")

    with pytest.raises(ConfigError, match="no-such-program can't be run") as caught:
        await CredentialSource(ConnectionConfig("https://a", exec_plugin=plugin)).get()
    assert caught.value.hint == "brew install it"


@on_virtual_time
async def test_credentials_1_the_files_of_a_client_certificate_are_read_again_as_a_pair(tmp_path: Path) -> None:
    before, after = pair(tmp_path, "before"), pair(tmp_path, "after")
    files = tmp_path / "client.crt", tmp_path / "client.key"
    for file, content in zip(files, before, strict=True):
        file.write_bytes(content)
    config = ConnectionConfig("https://a", client_certificate=before[0], client_key=before[1], client_files=files)
    source = CredentialSource(config)
    first = await source.get()
    assert (first.certificate, first.key) == before

    files[0].write_bytes(after[0])  # in the middle of the rotation
    await asyncio.sleep(60)
    assert await source.get() is first
    source.reject(first)
    assert await source.get() is first
    files[1].write_bytes(after[1])
    source.reject(first)
    second = await source.get()
    assert (second.certificate, second.key) == after


async def test_credentials_4_a_plugin_that_gives_half_a_pair_is_an_error(tmp_path: Path) -> None:
    (certificate, _), (_, key) = pair(tmp_path, "one"), pair(tmp_path, "other")
    status = {"token": "", "clientCertificateData": certificate.decode(), "clientKeyData": key.decode()}

    with pytest.raises(ConfigError, match="don't belong together"):
        await CredentialSource(exec_config(tmp_path, status)).get()
