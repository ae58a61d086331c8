"""A way to the server that doesn't work, at the start: said plainly, and tried again where that helps."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
from pathlib import Path

import pytest
import yaml

from pvbinder.cli.control import wait_for_server
from pvbinder.cli.main import run
from pvbinder.kube import credentials
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.config import load_kubeconfig
from pvbinder.kube.http import HttpTransport
from pvbinder.server.embedded import EmbeddedServer

CONTEXT = "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
CLUSTER = "clusters: [{name: k, cluster: {server: 'https://127.0.0.1:1'}}]\n"
EXEC = "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: %s%s}}}]\n"

MISTAKES = {  # what the file holds: what is said
    "nothing": ("", "has no current context"),
    "no YAML": ("{", "is no YAML in line"),
    "a list": ("[]", "is no kubeconfig: it must be a map"),
    "no such cluster": (CONTEXT, "names the cluster 'k', which is not there"),
    "no such user": (CONTEXT + CLUSTER, "names the user 'u', which is not there"),
    "a password": (CONTEXT + CLUSTER + "users: [{name: u, user: {username: me, password: secret}}]", "not supported"),
    "half a certificate": (CONTEXT + CLUSTER + "users: [{name: u, user: {client-key-data: YQ==}}]", "one half of"),
    "no certificate": (
        CONTEXT + CLUSTER + "users: [{name: u, user: {client-certificate-data: YQ==, client-key-data: YQ==}}]",
        "are no PEM, or don't belong together",
    ),
    "a file that isn't there": (
        CONTEXT + CLUSTER + "users: [{name: u, user: {client-certificate: nowhere, client-key: nowhere}}]",
        "No such file",
    ),
    "a plugin that asks people": (
        CONTEXT + CLUSTER + EXEC % ("x", ", interactiveMode: Always"),
        "wants a person at the terminal",
    ),
    "no address": (
        CONTEXT + "clusters: [{name: k, cluster: {server: nowhere}}]\nusers: [{name: u}]",
        "it must be like",
    ),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_kubeconfig_that_can_not_work_ends_it_with_what_to_do(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    assert run(["preflight", "--kubeconfig", str(file)]) == 2  # `controller` would configure the logs of this process
    told = capsys.readouterr().err
    assert said in told
    assert "secret" not in told


def test_a_kubeconfig_that_is_no_file_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        assert run(["preflight", "--kubeconfig", str(path)]) == 2
        assert "error: " in capsys.readouterr().err


def test_preflight_says_that_a_dead_server_can_not_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(CONTEXT + CLUSTER + "users: [{name: u, user: {}}]")
    assert run(["preflight", "--kubeconfig", str(file)]) == 3
    assert "Connection refused" in capsys.readouterr().err


PLUGINS = {
    "that fails": ("#!/bin/sh\necho 'no ticket' >&2; exit 3\n", "failed with 3: no ticket"),
    "that hangs": ("#!/bin/sh\nexec sleep 600\n", "gave nothing in 0 s"),
    "that writes nonsense": ("#!/bin/sh\necho secret-token\n", "wrote no ExecCredential"),
}


@pytest.mark.parametrize(("script", "said"), PLUGINS.values(), ids=PLUGINS.keys())
async def test_a_plugin_that_gives_nothing_is_told_and_tried_again(
    script: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "EXEC_SECONDS", 2.0 if "hangs" not in said and "nothing" not in said else 0.2)
    monkeypatch.setattr("pvbinder.cli.control.FIRST_WAIT_SECONDS", 0.01)
    plugin = tmp_path / "plugin"
    plugin.write_text(script)
    plugin.chmod(stat.S_IRWXU)
    async with EmbeddedServer() as server:
        file = tmp_path / "kubeconfig"
        server.write_kubeconfig(file)
        config = yaml.safe_load(file.read_text())
        name = config["contexts"][0]["context"]["user"]
        config["users"] = [
            {"name": name, "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}}
        ]
        (tmp_path / "broken").write_text(yaml.safe_dump(config))
        async with HttpTransport(load_kubeconfig([tmp_path / "broken"])) as transport:
            waiting = asyncio.create_task(wait_for_server(Client(transport, retries=Retries(attempts=1)), "it"))
            async with asyncio.timeout(30):
                while len(caplog.records) < 2 and not waiting.done():
                    await asyncio.sleep(0.01)
            assert not waiting.done(), waiting
            told = str(vars(caplog.records[0]))
            assert said in told
            assert "secret-token" not in told
            assert caplog.records[0].levelno == logging.WARNING
            token = load_kubeconfig([file]).token
            status = {"token": token}
            answer = json.dumps(
                {"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": status}
            )
            monkeypatch.setattr(credentials, "EXEC_SECONDS", 20.0)
            plugin.write_text(f"#!/bin/sh\necho '{answer}'\n")
            async with asyncio.timeout(60):
                found = await waiting
            assert found.find("", "PersistentVolume") is not None
