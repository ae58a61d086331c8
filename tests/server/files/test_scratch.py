"""Temporary data directories: gone at the end, or swept up after their process was killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pvbinder.server.files.scratch import OWNER_FILE, scratch_directory, sweep

# It makes a directory, says so, and is killed when it is told to.
OWNER = """
import os, signal, sys
from pvbinder.server.files.scratch import scratch_directory

with scratch_directory() as directory:
    (directory / "store.db").write_text("data")
    print(directory, flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for temporary files of the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_scratch_1_a_directory_is_private_and_gone_at_the_end(temporary: Path) -> None:
    with scratch_directory() as directory:
        assert directory.parent == temporary
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        (directory / "inner").mkdir()
    assert list(temporary.iterdir()) == []


def test_scratch_2_what_a_killed_process_left_is_swept_and_a_living_one_keeps_its_own(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        assert directory.parent == temporary
        with scratch_directory() as ours:
            assert sweep() == []
            owner.stdin.write("now\n")
            owner.stdin.flush()
            owner.wait(60)
            assert directory.exists()
            assert sweep() == [directory]
            assert not directory.exists()
            assert ours.exists()


def test_scratch_2_what_is_not_ours_is_left_alone(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / OWNER_FILE).touch()
    (temporary / "pvbinder-aaaaaaaa").symlink_to(elsewhere)
    for name in ("pvbinder-mine", "pvbinder-bbbbbbbb.old", "other-cccccccc"):
        (temporary / name).mkdir()
        (temporary / name / OWNER_FILE).touch()
    (temporary / "pvbinder-dddddddd").mkdir()  # nobody's lock
    (temporary / "pvbinder-eeeeeeee").touch()
    before = sorted(temporary.iterdir())
    assert sweep() == []
    assert sorted(temporary.iterdir()) == before
    assert (elsewhere / OWNER_FILE).exists()


def test_scratch_2_directories_of_others_are_left_alone(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (temporary / "pvbinder-aaaaaaaa").mkdir()
    (temporary / "pvbinder-aaaaaaaa" / OWNER_FILE).touch()
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert sweep() == []
    monkeypatch.undo()


def test_scratch_3_a_directory_has_its_name_only_with_its_lock(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename
    swept: list[list[Path]] = []

    def rename_between_sweeps(made: Path, target: Path) -> Path:
        swept.append(sweep())
        assert not target.exists()
        renamed = rename(made, target)
        swept.append(sweep())
        return renamed

    monkeypatch.setattr(Path, "rename", rename_between_sweeps)
    with scratch_directory() as directory:
        assert directory.exists()
    assert swept == [[], []]
