"""Completion of explain's arguments: kinds, and names from the server of the kubeconfig."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tools.plane import RunningPlane, running

from pvbinder.cli.completion import complete_target
from pvbinder.cli.explain import explain
from pvbinder.cli.main import cli

SECONDS = 60


def completed(words: list[str], incomplete: str, **params: object) -> list[str]:
    context = click.Context(explain)
    context.params = {"target": tuple(words), **params}
    return [item.value for item in complete_target(context, explain.params[0], incomplete)]


def test_kinds_come_first() -> None:
    assert completed([], "p") == ["pvc", "pod", "pv"]
    assert completed([], "s") == ["sts"]


def test_completion_1_without_a_server_there_are_no_names(tmp_path: Path) -> None:
    for kubeconfig in (tmp_path / "nothing", tmp_path):
        assert completed(["pvc"], "", kubeconfig=kubeconfig) == []
        assert completed([], "pvc/", kubeconfig=kubeconfig) == []
    assert completed(["deployment"], "") == []


@pytest.mark.kubectl
def test_names_come_from_the_server_in_both_shells(tmp_path: Path) -> None:
    top = Path(__file__).parents[2]
    with running(tmp_path / "data", ["--bare", "--load", str(top / "examples" / "quickstart")]) as plane:
        assert completed(["pvc"], "", kubeconfig=plane.kubeconfig) == ["archive", "nfs-claim", "reports"]
        assert completed(["pvc", "reports"], "", kubeconfig=plane.kubeconfig) == ["archive", "nfs-claim"]
        assert completed([], "pv/disk-2", kubeconfig=plane.kubeconfig) == ["pv/disk-20"]
        for shell in ("bash", "zsh"):
            assert "reports" in asked(plane, shell)


def asked(plane: RunningPlane, shell: str) -> str:
    """The completions that the shell's own function would get after ``pvbinder explain pvc rep``."""
    environment = {
        **os.environ,
        "KUBECONFIG": str(plane.kubeconfig),
        "_PVBINDER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "pvbinder explain pvc rep",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [Path(sys.executable).parent / "pvbinder"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout


def test_the_commands_complete_without_being_imported() -> None:
    context = click.Context(cli, info_name="pvbinder")
    assert [item.value for item in cli.shell_complete(context, "ex")] == ["export", "explain"]
