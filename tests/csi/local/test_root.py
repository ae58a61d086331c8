"""The root of a local driver."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.csi.local.calls import NODE

from pvbinder.csi.local.root import RootError, opened_root


def refused(path: Path, node: str = NODE) -> str:
    with pytest.raises(RootError) as caught, opened_root(path, node=node):
        pass
    assert caught.value.hint
    return caught.value.message


def test_localroot_1_a_root_is_ours_alone(tmp_path: Path) -> None:
    root = tmp_path / "a" / "root"
    root.mkdir(parents=True, mode=0o755)
    with opened_root(root, node=NODE):
        assert root.stat().st_mode & 0o777 == 0o700
        assert {path.name for path in root.iterdir()} == {
            "driver.json",
            "lock",
            "volumes",
            "snapshots",
            "temporary",
        }
    with opened_root(root, node=NODE):
        pass
    assert "node-1, not of node-2" in refused(root, "node-2")


def test_localroot_1_what_has_other_things_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "home" / "letters").write_text("precious")
    assert "other things" in refused(tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letters"]
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o755
    assert "can't be a driver's root" in refused(tmp_path / "home" / "letters")


def test_localroot_1_nobody_else_may_lead_it_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert "others may write" in refused(tmp_path / "open" / "root")
    with opened_root(tmp_path / "root", node=NODE):
        pass
    (tmp_path / "root" / "volumes").rmdir()
    (tmp_path / "root" / "volumes").symlink_to(tmp_path / "open")
    assert "is a symbolic link" in refused(tmp_path / "root")
    if os.geteuid() == 0:
        (tmp_path / "theirs").mkdir()
        os.chown(tmp_path / "theirs", 1234, 1234)
        assert "belongs to" in refused(tmp_path / "theirs")


@pytest.mark.parametrize("text", ["", "nonsense", '{"format":2,"node":"node-1"}', '{"format":1}', "[" * 1000])
def test_localroot_1_a_marker_that_is_not_ours_is_refused(tmp_path: Path, text: str) -> None:
    with opened_root(tmp_path / "root", node=NODE):
        pass
    (tmp_path / "root" / "driver.json").write_text(text)
    refused(tmp_path / "root")
    assert (tmp_path / "root" / "driver.json").read_text() == text


def test_localroot_2_one_driver_uses_it_at_a_time(tmp_path: Path) -> None:
    with opened_root(tmp_path / "root", node=NODE):
        assert "another driver uses" in refused(tmp_path / "root")
    with opened_root(tmp_path / "root", node=NODE):
        pass


def test_localroot_3_what_was_left_half_made_is_removed(tmp_path: Path) -> None:
    with opened_root(tmp_path / "root", node=NODE):
        pass
    temporary = tmp_path / "root" / "temporary"
    (temporary / "vol-1" / "data" / "deep").mkdir(parents=True)
    (temporary / "link").symlink_to(tmp_path)
    (temporary / "file").touch()
    (tmp_path / "precious").touch()
    with opened_root(tmp_path / "root", node=NODE):
        assert not list(temporary.iterdir())
    assert (tmp_path / "precious").exists()
