"""What is mounted below a directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pvbinder.csi.local import mounts
from pvbinder.server.files.mounts import mounts_below, unmount_below
from pvbinder.server.files.scratch import scratch_directory


@pytest.fixture(autouse=True)
def nothing_stays_mounted(tmp_path: Path) -> Iterator[None]:
    """A test that fails must not leave mounts where others remove directories."""
    yield
    unmount_below(tmp_path)


def may_mount(tmp_path: Path) -> bool:
    trial = tmp_path / "trial"
    trial.mkdir()
    try:
        mount(trial, trial)
    except OSError:
        return False
    unmount_below(tmp_path)
    return True


def mount(source: Path, target: Path) -> None:
    opened = os.open(source, os.O_RDONLY), os.open(target, os.O_RDONLY)
    try:
        mounts.bind(*opened)
    finally:
        for each in opened:
            os.close(each)


def test_mounts_below_1_all_of_them_go(tmp_path: Path) -> None:
    assert mounts_below(tmp_path) == []
    if not may_mount(tmp_path):
        pytest.skip("only root may mount")
    inner = tmp_path / "with a space" / "deep"
    for path in (tmp_path / "data", inner):
        path.mkdir(parents=True)
    (tmp_path / "data" / "letters").write_text("precious")
    mount(tmp_path / "data", inner)
    (inner / "more").mkdir()
    mount(tmp_path / "data", inner / "more")
    assert mounts_below(tmp_path) == [inner / "more", inner]
    assert mounts_below(inner) == [inner / "more"]
    assert unmount_below(tmp_path) == []
    assert (tmp_path / "data" / "letters").read_text() == "precious"


def test_scratch_4_what_is_mounted_is_never_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not may_mount(tmp_path):
        pytest.skip("only root may mount")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "letters").write_text("precious")
    with scratch_directory() as directory:
        (directory / "mnt").mkdir()
        mount(outside, directory / "mnt")
    assert not directory.exists()
    assert (outside / "letters").read_text() == "precious"

    monkeypatch.setattr("pvbinder.server.files.mounts._unmount", lambda _: None)
    with scratch_directory() as directory:
        (directory / "mnt").mkdir()
        mount(outside, directory / "mnt")
    assert directory.exists()
    assert (outside / "letters").read_text() == "precious"
    monkeypatch.undo()
    unmount_below(tmp_path)
