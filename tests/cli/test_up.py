"""`pvbinder up` as a process: ready, in use, stopped, started again, and misused."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.outside import DEADLINE_SECONDS, request
from tools.plane import access, running

pytestmark = pytest.mark.slow  # each starts processes

COMMAND = [sys.executable, "-m", "pvbinder.cli.main", "up"]


def up(*flags: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `pvbinder up` with flags that make it end by itself."""
    return subprocess.run(
        [*COMMAND, *flags], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False, **options
    )


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}


def names(listed: Any) -> set[str]:
    return {item["metadata"]["name"] for item in listed["items"]}


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


# ------------------------------------------------------------------------------------------------ ready and stopped


def test_it_says_what_a_person_needs_next(tmp_path: Path) -> None:
    with running(tmp_path / "data") as plane:
        assert plane.process.stdout is not None
        banner = [plane.first_line, *(plane.process.stdout.readline().rstrip() for _ in range(7))]

        assert banner[0].startswith("pvbinder 0.1.0 at https://127.0.0.1:")
        assert f"  export KUBECONFIG={tmp_path}/data/kubeconfig" in banner
        assert "  kubectl get pv,pvc -A" in banner
        assert any("Ctrl-C stops it" in line for line in banner)


def test_plane_1_when_it_says_ready_it_answers(tmp_path: Path) -> None:
    with running(tmp_path / "data") as plane:
        assert names(request(plane.kubeconfig, "/api/v1/namespaces")) >= {"default", "kube-system"}


def test_the_kubeconfig_is_for_its_owner_alone(tmp_path: Path) -> None:
    with running(tmp_path / "data", ["--kubeconfig", str(tmp_path / "mine")]):
        assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o600
        assert not (tmp_path / "data" / "kubeconfig").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_serve_1_a_signal_stops_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "data") as plane:
        plane.process.send_signal(number)

        assert plane.process.wait(DEADLINE_SECONDS) == 0
        log = plane.log()
        assert "stopped; everything is kept in" in log
        assert "Traceback" not in log


def test_serve_1_an_open_watch_does_not_keep_it(tmp_path: Path) -> None:
    with running(tmp_path / "data") as plane:
        url, context = access(plane.kubeconfig)
        with urllib.request.urlopen(f"{url}{CONFIG_MAPS}?watch=true", context=context) as watch:
            plane.process.send_signal(signal.SIGTERM)
            assert plane.process.wait(DEADLINE_SECONDS) == 0
            watch.read()


def test_serve_3_what_an_ephemeral_start_leaves_when_killed_the_next_one_removes(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*COMMAND, "--ephemeral", "--bare"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        process.kill()
        process.wait(DEADLINE_SECONDS)
    (left,) = tmp_path.glob("pvbinder-*")
    assert (left / "store.db").exists()
    assert up("--ephemeral", "--bare", "--", "true", env=environment).returncode == 0
    assert list(tmp_path.glob("*pvbinder-*")) == []


def test_serve_3_an_ephemeral_start_leaves_nothing(tmp_path: Path) -> None:
    finished = up("--ephemeral", "--", "sh", "-c", "dirname $KUBECONFIG", env={**os.environ, "TMPDIR": str(tmp_path)})

    assert finished.returncode == 0, finished.stderr
    assert Path(finished.stdout.strip()).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ the second start


def test_a_restart_keeps_objects_and_revisions_go_on(tmp_path: Path) -> None:
    with running(tmp_path / "data") as plane:
        made = request(plane.kubeconfig, CONFIG_MAPS, "POST", config_map("kept"))
    with running(tmp_path / "data") as plane:
        found = request(plane.kubeconfig, f"{CONFIG_MAPS}/kept")
        later = request(plane.kubeconfig, CONFIG_MAPS, "POST", config_map("later"))

    assert found == made
    assert int(later["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_the_port_and_so_the_kubeconfig_stay_the_same(tmp_path: Path) -> None:
    with running(tmp_path / "data", port=None) as plane:
        before = plane.kubeconfig.read_text()
    with running(tmp_path / "data", port=None) as plane:
        assert plane.kubeconfig.read_text() == before


def test_a_second_one_on_the_same_directory_is_told_so_and_does_no_harm(tmp_path: Path) -> None:
    with running(tmp_path / "data") as plane:
        request(plane.kubeconfig, CONFIG_MAPS, "POST", config_map("kept"))
        before = plane.kubeconfig.read_text()

        second = up("--data-dir", str(tmp_path / "data"), "--port", "0")

        assert second.returncode == 2
        assert second.stderr.startswith("error: another pvbinder is running on ")
        assert str(plane.process.pid) in second.stderr
        assert plane.kubeconfig.read_text() == before
        assert "kept" in names(request(plane.kubeconfig, CONFIG_MAPS))


# ------------------------------------------------------------------------------------------------ what can't work


@contextmanager
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def refused(finished: subprocess.CompletedProcess[str]) -> str:
    """Return what it said, having checked that it was said well."""
    assert finished.returncode == 2, finished.stderr
    assert finished.stderr.startswith("error: ")
    assert "\n       " in finished.stderr, "and a way out"
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""
    return finished.stderr


def test_a_busy_port() -> None:
    with busy_port() as port:
        assert f"port {port}" in refused(up("--ephemeral", "--port", str(port), "--", "true"))


def test_an_address_that_is_not_here() -> None:
    refused(up("--ephemeral", "--host", "192.0.2.1", "--", "true"))


def test_a_directory_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear ana")

    assert "not pvbinder's" in refused(up("--data-dir", str(tmp_path), "--", "true"))
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    assert "is a file" in up("--data-dir", str(tmp_path / "data"), "--", "true").stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_a_directory_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    refused(up("--data-dir", str(tmp_path / "data"), "--", "true"))


def test_a_directory_that_cant_be_made() -> None:
    refused(up("--data-dir", "/proc/pvbinder", "--", "true"))


def test_data_of_a_newer_version(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        pass
    database = sqlite3.connect(tmp_path / "data" / "store.db")
    database.execute("PRAGMA user_version = 99")
    database.close()

    assert "newer pvbinder" in refused(up("--data-dir", str(tmp_path / "data"), "--", "true"))


def test_damaged_data(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        pass
    path = tmp_path / "data" / "store.db"
    damaged = b"\x00garbage" * 512 + path.read_bytes()[4096:]
    path.write_bytes(damaged)

    assert "damaged" in refused(up("--data-dir", str(tmp_path / "data"), "--", "true"))
    assert path.read_bytes() == damaged, "it is left as it was found"


def test_a_kubeconfig_to_elsewhere_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{clusters: [{name: prod}]}")

    assert "would be overwritten" in refused(up("--ephemeral", "--kubeconfig", str(path), "--", "true"))
    assert "prod" in path.read_text()


def test_a_controller_that_does_not_exist() -> None:
    assert "no-such-controller" in refused(up("--ephemeral", "--controllers", "no-such-controller", "--", "true"))


# ------------------------------------------------------------------------------------------------ who may ask


def status_of(kubeconfig: Path, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Ask without a client certificate; return the status and the body."""
    url, _ = access(kubeconfig)
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = cluster["certificate-authority-data"]
    context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, headers=headers), context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_who_is_nobody_sees_health_and_version_alone(tmp_path: Path) -> None:
    with running(tmp_path / "data") as plane:
        assert status_of(plane.kubeconfig, "/readyz", {})[0] == 200
        assert status_of(plane.kubeconfig, "/version", {})[0] == 200
        code, status = status_of(plane.kubeconfig, CONFIG_MAPS, {})
        assert code == 403
        assert 'User "system:anonymous" cannot list resource "configmaps"' in status["message"]


def test_a_wrong_token_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "data") as plane:
        code, status = status_of(plane.kubeconfig, CONFIG_MAPS, {"Authorization": "Bearer wrong"})
        assert (code, status["message"]) == (401, "Unauthorized")


# ------------------------------------------------------------------------------------------------ what it begins with


def test_starter_1_a_node_and_a_class_unless_bare(tmp_path: Path) -> None:
    with running(tmp_path / "data") as plane:
        assert names(request(plane.kubeconfig, "/api/v1/nodes")) == {"local"}
        classes = names(request(plane.kubeconfig, "/apis/storage.k8s.io/v1/storageclasses"))
        assert classes == {"local", "local-immediate", "local-storage"}
        definitions = request(plane.kubeconfig, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        assert names(definitions) == {
            f"volumesnapshot{plural}.snapshot.storage.k8s.io" for plural in ("s", "classes", "contents")
        }
    with running(tmp_path / "bare", ["--bare"]) as plane:
        assert names(request(plane.kubeconfig, "/api/v1/nodes")) == set()
        assert names(request(plane.kubeconfig, "/apis/storage.k8s.io/v1/storageclasses")) == set()


def test_starter_1_what_was_changed_stays_changed(tmp_path: Path) -> None:
    path = "/api/v1/nodes/local"
    with running(tmp_path / "data") as plane:
        node = request(plane.kubeconfig, path)
        node["metadata"]["labels"]["disk"] = "fast"
        changed = request(plane.kubeconfig, path, "PUT", node)
    with running(tmp_path / "data") as plane:
        assert request(plane.kubeconfig, path) == changed


# ------------------------------------------------------------------------------------------------ a command


def test_serve_2_a_command_has_stdout_to_itself() -> None:
    finished = up("--ephemeral", "--", "echo", "hello")

    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "hello\n", "")


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("no-such-command", 127)])
def test_its_exit_code_is_returned(command: str, code: int) -> None:
    assert up("--ephemeral", "--", "sh", "-c", command).returncode == code


def test_a_command_that_is_not_there() -> None:
    finished = up("--ephemeral", "--", "no-such-command-anywhere")

    assert finished.returncode == 127
    assert finished.stderr == "error: no-such-command-anywhere: command not found\n"


@pytest.mark.kubectl
def test_a_command_talks_to_the_plane() -> None:
    finished = up("--ephemeral", "--", "kubectl", "get", "nodes", "--output", "name")

    assert (finished.returncode, finished.stdout) == (0, "node/local\n"), finished.stderr


def test_the_log_is_json_if_wanted() -> None:
    finished = up("--ephemeral", "--log-format", "json", "-v", "3", "--", "true")

    entries = [json.loads(line) for line in finished.stderr.splitlines()]
    assert entries
    assert all({"time", "level", "message", "logger"} <= set(entry) for entry in entries)
