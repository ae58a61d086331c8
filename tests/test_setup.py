"""`make setup` prepares an environment from whatever a shell offers, its own activated one included."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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
