"""Paths that users give and that lead to no file: one clear error, exit code 2, and nobody waits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pvbinder.cli.main import run

DEADLINE_SECONDS = 60
KINDS: dict[str, Callable[[Path], Any]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a directory": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
COMMANDS = {  # which path it is: the command, without its path at the end
    "the kubeconfig to write": ["up", "--ephemeral", "--kubeconfig"],
    "the flags of up": ["up", "--ephemeral", "--config"],
    "the flags of controller": ["controller", "--config"],
    "the kubeconfig of controller": ["controller", "--kubeconfig"],
    "the kubeconfig of explain": ["explain", "pvc", "orders", "--kubeconfig"],
    "the dump of explain": ["explain", "pvc", "orders", "-f"],
    "the kubeconfig of export": ["export", "--kubeconfig"],
    "the data directory of export": ["export", "--data-dir"],
    "the data directory of recover": ["recover", "--data-dir"],
}
AT_START = {  # the same, of files that are read after the start of the process
    "what to load": ["up", "--ephemeral", "--load"],
    "what to apply": ["up", "--ephemeral", "--apply"],
    "the tokens": ["up", "--ephemeral", "--token-auth-file"],
    "the pod of the recycler": ["up", "--ephemeral", "--bare", "--pv-recycler-pod-template-filepath-nfs"],
    "the data directory": ["up", "--bare", "--data-dir"],
}


def assert_one_clear_error(code: int | None, out: str, err: str) -> None:
    assert code == 2, err
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("error: ") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_path_that_leads_to_no_file_is_refused(
    tmp_path: Path, command: list[str], make: Callable[[Path], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "path")
    code = run([*command, str(tmp_path / "path")])
    shown = capsys.readouterr()
    assert_one_clear_error(code, shown.out, shown.err)


@pytest.mark.slow
@pytest.mark.parametrize("command", AT_START.values(), ids=AT_START.keys())
def test_a_pipe_is_refused_by_a_process_that_starts(tmp_path: Path, command: list[str]) -> None:
    if "--apply" in command and shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl here")
    os.mkfifo(tmp_path / "path")
    done = pvbinder(*command, str(tmp_path / "path"), "--", "true")
    assert_one_clear_error(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--load", "--apply"])
@pytest.mark.parametrize("what", ["a pipe", "a link out", "a bomb"])
def test_a_directory_with_what_is_no_manifest_is_refused(tmp_path: Path, flag: str, what: str) -> None:
    if flag == "--apply" and shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl here")
    (tmp_path / "given").mkdir()
    (tmp_path / "secret").write_text("kind: Pod\nmetadata: {name: secret}\n")
    (tmp_path / "given" / "good.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
    bad = tmp_path / "given" / "bad.yaml"
    match what:
        case "a pipe":
            os.mkfifo(bad)
        case "a link out":
            bad.symlink_to("../secret")
        case _:
            lines = [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)]
            bad.write_text("\n".join(["a: &a [x,x,x,x,x,x,x,x,x]", *lines]))
    done = pvbinder("up", "--ephemeral", flag, str(tmp_path / "given"), "--", "true")
    assert_one_clear_error(done.returncode, done.stdout, done.stderr)
    assert str(bad) in done.stderr


def test_a_bomb_is_refused_wherever_yaml_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)]
    bomb = tmp_path / "bomb.yaml"
    bomb.write_text("\n".join(["a: &a [x,x,x,x,x,x,x,x,x]", *lines]))
    for command in COMMANDS.values():
        if "--data-dir" not in command:
            assert run([*command, str(bomb)]) == 2
            assert str(bomb) in capsys.readouterr().err


@pytest.mark.slow
def test_what_the_shell_hands_over_is_read(tmp_path: Path) -> None:
    dump = (
        '{"kind": "List", "items": [{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"}}]}'
    )
    (tmp_path / "dump.json").write_text(dump)
    program = f"{sys.executable} -m pvbinder.cli.main explain pvc/a -f"
    for script in (f"{program} <(cat dump.json)", f"{program} - < dump.json", f"cat dump.json | {program} /dev/stdin"):
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
        )
        assert done.stdout.startswith("default/a is "), done.stderr


@pytest.mark.parametrize("name", ["/dev/null", "/dev/fd/9", "/proc/self/fd/1", "pipe"])
def test_an_export_takes_the_place_of_no_device(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    assert run(["export", "--data-dir", str(tmp_path), name]) == 2
    assert "it is no regular file" in capsys.readouterr().err


def pvbinder(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pvbinder.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
