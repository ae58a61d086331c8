"""The checks of `pvbinder doctor`."""

from __future__ import annotations

import json
import os
import resource
import socket
from contextlib import closing
from pathlib import Path

import pytest

from pvbinder.cli.main import run
from pvbinder.insight import machine
from pvbinder.insight.machine import Diagnosis, check_directory, check_kubectl, check_open_files, check_port, examine


def kubectl(folder: Path, script: str) -> str:
    """Make a kubectl that does this, and return the PATH that has it."""
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(folder)


def test_a_machine_that_has_everything_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--data-dir", str(tmp_path / "data"), "-o", "json"]) == 0

    findings = json.loads(capsys.readouterr().out)
    subjects = ["python", "sqlite", "kubectl", "port", "data directory", "disk sync", "open files", "mounts"]
    assert [each["subject"] for each in findings] == subjects
    assert not [each for each in findings if each["verdict"] == "wrong"]


def test_machine_2_nothing_stays_behind(tmp_path: Path) -> None:
    list(examine(tmp_path / "a" / "b", 6443))

    assert list(tmp_path.iterdir()) == []


def test_machine_1_what_cannot_be_found_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Path) -> Diagnosis:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(machine, "check_sync", fails)
    found = {each.subject: each for each in examine(tmp_path, 6443)}

    assert found["disk sync"].verdict == "note"
    assert "Input/output error" in found["disk sync"].text
    assert found["open files"].verdict in ("fine", "note")


def test_machine_1_a_kubectl_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SECONDS_MAX", 0.2)
    monkeypatch.setenv("PATH", f"{kubectl(tmp_path, 'exec sleep 60')}:{os.environ['PATH']}")

    found = {each.subject: each for each in examine(tmp_path, 6443)}
    assert "timed out" in found["kubectl"].text


VERSIONS = {  # what kubectl says: (its script, the verdict, a part of the text)
    "as old as the server": (
        """echo '{"clientVersion":{"minor":"36","gitVersion":"v1.36.0"}}'""",
        "fine",
        "v1.36.0 at",
    ),
    "one version away": ("""echo '{"clientVersion":{"minor":"35+","gitVersion":"v1.35.1"}}'""", "fine", "v1.35.1 at"),
    "far away": ("""echo '{"clientVersion":{"minor":"28","gitVersion":"v1.28.0"}}'""", "note", "v1.28.0 at"),
    "it fails": ("echo broken >&2; exit 1", "note", "fails: broken"),
}


@pytest.mark.parametrize(("script", "verdict", "text"), VERSIONS.values(), ids=VERSIONS.keys())
def test_the_version_of_kubectl(script: str, verdict: str, text: str, tmp_path: Path) -> None:
    found = check_kubectl(kubectl(tmp_path, script))

    assert found.verdict == verdict
    assert text in found.text


def test_machine_3_no_kubectl_is_a_note(tmp_path: Path) -> None:
    assert check_kubectl(str(tmp_path)).verdict == "note"


def test_a_port_that_is_taken_is_a_note() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = check_port(taken.getsockname()[1])

    assert (found.verdict, "use" in found.text) == ("note", True)


def test_a_directory_that_cannot_be_written_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(path: Path, mode: int) -> bool:  # the tests may be root's, who may write everywhere
        return False

    monkeypatch.setattr(os, "access", refuses)

    assert run(["doctor", "--data-dir", str(tmp_path / "data")]) == 1
    assert "WRONG  data directory" in capsys.readouterr().out


def test_machine_3_a_remote_file_system_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_file_system_of", lambda _: "nfs4")

    assert check_directory(tmp_path).verdict == "wrong"


def test_a_disk_that_is_slow_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SYNC_SLOW_MS", 0.0)

    assert machine.check_sync(tmp_path).verdict == "note"


def test_few_open_files_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))

    found = check_open_files()
    assert (found.verdict, found.way_out) == ("note", "ulimit -n 4096")
