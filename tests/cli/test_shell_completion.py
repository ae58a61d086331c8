"""`pvbinder completion`: a script for each shell, and what the shell gets from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.outside import DEADLINE_SECONDS

from pvbinder.cli.main import run
from pvbinder.cli.shell_completion import SHELLS, VARIABLE


@pytest.mark.parametrize("shell", SHELLS)
def test_there_is_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0

    script = capsys.readouterr().out
    assert f"{VARIABLE}={shell}_complete" in script
    assert "pvbinder" in script


def test_without_a_name_it_is_for_the_users_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert run(["completion"]) == 0
    assert capsys.readouterr().out.startswith("#compdef pvbinder")


@pytest.mark.parametrize(("shell", "said"), [("/bin/tcsh", "$SHELL is tcsh"), ("", "$SHELL is not set")])
def test_a_shell_that_there_is_no_script_for_is_told(
    shell: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", shell)

    assert run(["completion"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_bash_completes_with_it() -> None:
    """The script in a real bash: its function is called as the shell would, for `pvbinder comp`."""
    program = """
      eval "$(pvbinder completion bash)"
      COMP_WORDS=(pvbinder comp) COMP_CWORD=1
      _pvbinder_completion pvbinder
      echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", program], env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )

    assert done.stdout.split() == ["completion"], done.stderr
