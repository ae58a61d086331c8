"""The errors of a failed start: a line about the error, a line with the way out, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from pvbinder.cli.main import run

MISTAKES = {
    "an option without its value": (["up", "--data-dir"], "requires an argument", "see pvbinder up --help"),
    "an option that there is not": (["explain", "--nope"], "No such option", "see pvbinder explain --help"),
    "a command that there is not": (["explane"], "No such command", "see pvbinder --help"),
    "a file that there is not": (["explain", "pvc", "a", "-f", "/nope"], "/nope doesn't exist", "name files"),
    "a kubeconfig that there is not": (
        ["explain", "pvc", "a", "--kubeconfig", "/nope"],
        "kubeconfig /nope: No such file or directory",
        "name another with --kubeconfig",
    ),
    "a controller that is nearly called so": (
        ["up", "--ephemeral", "--controllers", "*,-persistentvolume-bindr", "--", "true"],
        "there is no controller 'persistentvolume-bindr': did you mean persistentvolume-binder?",
        "there are persistentvolume-binder-controller (persistentvolume-binder), ",
    ),
}


@pytest.mark.parametrize(("words", "what", "way_out"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_has_a_second_line(
    words: list[str], what: str, way_out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("error: ")
    assert what in first
    assert second.strip().startswith(way_out)


def test_a_kubeconfig_of_the_environment_that_isnt_there_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    assert run(["explain", "pvc", "a"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: there is no kubeconfig: KUBECONFIG names /nonexistent, which doesn't exist"
    assert second.strip().startswith("name another with --kubeconfig")


CONFIGURATIONS = {
    "a controller": (
        "sync-period: 15s\n\ncontrollers: ['*', -persistentvolum-binder]\n",
        ", line 3: controllers: there is no controller 'persistentvolum-binder': did you mean persistentvolume-binder?",
    ),
    "a path": (
        "pv-recycler-pod-template-filepath-nfs: /nope.yaml\n",
        ", line 1: pv-recycler-pod-template-filepath-nfs: failed to read file path /nope.yaml: No such file",
    ),
    "a flag": ("controler: '*'\n", ", line 1: "),
}


@pytest.mark.parametrize(("text", "message"), CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_an_error_of_a_configuration_file_has_its_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pvbinder.yaml"
    file.write_text(text)
    assert run(["up", "--ephemeral", "--config", str(file), "--", "true"]) == 2
    assert f"error: {file}{message}" in capsys.readouterr().err
