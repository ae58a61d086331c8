"""`make setup` prepares an environment with any interpreter of the shell, also from its own activated environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SETUP = Path(__file__).parent.parent / "tools" / "setup"


@pytest.mark.slow
def test_an_activated_environment_is_made_anew(tmp_path: Path) -> None:
    """The interpreter on PATH is the one in .venv/, which goes before the new one is made with it."""
    (tmp_path / "tools").mkdir()
    shutil.copy(SETUP, tmp_path / "tools")
    (tmp_path / "requirements.lock").touch()
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "nothing"\nbackend-path = ["."]\n'
    )
    environment = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=120)
    old = environment / "old"
    old.touch()
    done = subprocess.run(
        [tmp_path / "tools" / "setup"],
        env={**os.environ, "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "setting up .venv" in done.stderr
    assert not old.exists()
    # It ends there, as there is no project to install; the environment is made, and pip is in it.
    pip = subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "--version"], capture_output=True, check=False, timeout=60
    )
    assert pip.returncode == 0, done.stderr


STUB = """#!/bin/sh
case "$2" in
    *_base_executable,*) echo "{base} 3.12.1" ;;
    *_base_executable*) echo "{base}" ;;
    *version_info*) exit {works} ;;
    *) exit 1 ;;
esac
"""


def stub(path: Path, base: str, *, works: bool = True) -> str:
    """A program that answers like an interpreter that is `base`, and makes nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(STUB.format(base=base, works=0 if works else 1))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose environment is ready, made from the interpreter `/opt/old`."""
    (tmp_path / "tools").mkdir()
    shutil.copy(SETUP, tmp_path / "tools")
    for name in ("requirements.lock", "requirements-run.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    stub(tmp_path / ".venv" / "bin" / "python", "/opt/old")
    stub(tmp_path / ".venv" / "bin" / "pvbinder", "")
    command = f"cd {tmp_path} && " + 'echo "$(pwd) $(cat requirements-run.lock pyproject.toml tools/setup | cksum)"'
    made_from = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60).stdout
    (tmp_path / ".venv" / "ready-run").write_text(made_from)
    return tmp_path


def set_up(project: Path, python: str = "", *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": python}
    return subprocess.run(
        [project / "tools" / "setup", *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_is_ready_is_left_alone(project: Path) -> None:
    for python in ("", stub(project / "same", "/opt/old")):
        done = set_up(project, python)
        assert (done.returncode, done.stderr) == (0, "")


def test_two_setups_at_once_are_one_after_the_other(project: Path) -> None:
    """A setup that Ctrl-C interrupted may still be ending when the next one is started."""
    (project / ".setup.lock").symlink_to(str(os.getpid()))
    words = [str(project / "tools" / "setup"), "dev"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as second:
        assert second.stderr is not None
        assert second.stderr.readline() == f"waiting for another setup here (process {os.getpid()}) ...\n"
        assert second.poll() is None
        (project / ".setup.lock").unlink()
        assert "packages of requirements.lock" in second.stderr.readline()
    assert not (project / ".setup.lock").is_symlink()


def test_the_lock_of_a_setup_that_was_killed_is_taken_over(project: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait(timeout=60)
    (project / ".setup.lock").symlink_to(str(gone.pid))
    assert "waiting" not in set_up(project, "", "dev").stderr
    assert not (project / ".setup.lock").is_symlink()


def test_another_interpreter_that_is_named_is_taken_though_an_environment_is_there(project: Path) -> None:
    done = set_up(project, stub(project / "new", "/opt/new"))
    assert done.stderr.startswith("setting up .venv with ")
    assert not (project / ".venv" / "ready-run").exists()


def test_an_interpreter_that_doesnt_work_is_an_error_though_an_environment_is_there(project: Path) -> None:
    done = set_up(project, stub(project / "broken", "/opt/broken", works=False))
    assert done.returncode == 2
    assert "no Python 3.11 or newer" in done.stderr
    assert (project / ".venv" / "ready-run").exists()


def test_more_than_running_is_added_to_what_is_there(project: Path) -> None:
    done = set_up(project, "", "dev")
    assert "packages of requirements.lock" in done.stderr
    assert "setting up .venv" not in done.stderr


def test_a_warning_of_pip_stands_on_a_line_of_its_own(project: Path) -> None:
    """On a terminal, where a line says how far it is; and pip's exit code still counts."""
    python = project / ".venv" / "bin" / "python"
    python.write_text(
        python.read_text().replace(
            "    *) exit 1", "    pip) echo Collecting a==1; echo WARNING: old >&2; exit 3 ;;\n    *) exit 1"
        )
    )
    ours, theirs = os.openpty()
    try:
        done = subprocess.run([project / "tools" / "setup", "dev"], stderr=theirs, check=False, timeout=60)
        shown = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 3
    assert "\r\x1b[KWARNING: old\r\n" in shown
    assert not (project / ".venv" / "ready-dev").exists()


def test_a_level_that_there_is_not_is_refused(project: Path) -> None:
    assert set_up(project, "", "tests").returncode == 2


def test_what_running_needs_is_part_of_what_everything_needs() -> None:
    def pinned(name: str) -> set[str]:
        text = (SETUP.parents[1] / name).read_text().replace("\\\n", " ")
        return {re.sub(r" ;.*? --", " --", " ".join(line.split())) for line in text.splitlines()}  # without markers

    run, everything = pinned("requirements-run.lock"), pinned("requirements.lock")
    assert run <= everything
    assert len(run) < len(everything) / 2


def test_every_dependency_is_in_what_running_needs() -> None:
    top = SETUP.parents[1]
    project = tomllib.loads((top / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=! ;]", each)[0] for each in project["dependencies"]}
    pinned = {line.partition("==")[0] for line in (top / "requirements-run.lock").read_text().splitlines()}
    assert wanted <= pinned, "make lock writes it anew"
