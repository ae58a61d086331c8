"""The directories of pods, and what is noted in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pvbinder.volumes.pod_directories import PodDirectories, PodVolumeNote, UnsafeNameError

NOTE = PodVolumeNote(pod_uid="u-1", name="pv-1", handle="h-1", driver="d", node="here", is_staged=True)


def test_poddirectories_1_a_note_is_found_again_until_all_is_gone(tmp_path: Path) -> None:
    directories = PodDirectories(tmp_path)
    directories.note(NOTE)
    other = PodVolumeNote(pod_uid="u-2", name="pv-1", handle="h-1", driver="d", node="here", is_block=True)
    directories.note(other)
    assert directories.load() == [NOTE, other]
    assert directories.target(NOTE) == tmp_path / "pods/u-1/volumes/kubernetes.io~csi/pv-1/mount"
    assert directories.target(other) == tmp_path / "pods/u-2/volumeDevices/kubernetes.io~csi/pv-1"
    assert directories.target(NOTE).parent.is_dir()
    assert directories.target(other).parent.is_dir()

    directories.target(NOTE).mkdir()
    directories.target(other).touch()
    directories.forget(other, unstaged=False)
    directories.forget(NOTE, unstaged=True)
    assert directories.load() == []
    assert not list((tmp_path / "pods").iterdir())
    assert not directories.staging(NOTE).parent.exists()
    directories.forget(NOTE, unstaged=True)


@pytest.mark.parametrize("name", ["..", "", "a/b", ".hidden", "/etc", "a\n", "x" * 254])
def test_poddirectories_2_no_name_leads_elsewhere(tmp_path: Path, name: str) -> None:
    directories = PodDirectories(tmp_path)
    for note in (PodVolumeNote(name, "pv", "h", "d", "n"), PodVolumeNote("u", name, "h", "d", "n")):
        with pytest.raises(UnsafeNameError):
            directories.note(note)
    with pytest.raises(UnsafeNameError):
        directories.staging(PodVolumeNote("u", "pv", "h", name, "n"))
    assert not (tmp_path / "pods").exists() or not any((tmp_path / "pods").rglob("*.json"))


def test_poddirectories_3_what_a_driver_left_is_never_removed(tmp_path: Path) -> None:
    directories = PodDirectories(tmp_path)
    directories.note(NOTE)
    directories.target(NOTE).mkdir()
    (directories.target(NOTE) / "letters").write_text("precious")
    with pytest.raises(OSError, match="not empty"):
        directories.forget(NOTE, unstaged=True)
    assert directories.load() == [NOTE]
    (directories.target(NOTE) / "letters").unlink()
    directories.target(NOTE).rmdir()
    directories.target(NOTE).symlink_to(tmp_path)
    with pytest.raises(OSError):
        directories.forget(NOTE, unstaged=True)
    assert directories.load() == [NOTE]


def test_a_note_that_cant_be_read_is_said_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directories = PodDirectories(tmp_path)
    directories.note(NOTE)
    [path] = tmp_path.rglob("vol_data.json")
    there = path.read_text()
    for text in ("{", there.replace("u-1", "u-2"), there.replace("pv-1", "../x"), '"é"'):
        path.write_text(text)
        assert directories.load() == []
        assert path.exists()
    assert len(caplog.records) == 4
