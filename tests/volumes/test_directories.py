"""Opening directories step by step."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pvbinder.volumes.directories import LinkRefusedError, open_below, open_root


def opened(path: Path | str, *, chosen: bool = False, make_mode: int | None = None) -> str:
    """The path of the opened directory."""
    directory = open_root(str(path), chosen=chosen, make_mode=make_mode)
    try:
        return str(Path(f"/proc/self/fd/{directory}").readlink())
    finally:
        os.close(directory)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "real" / "base").mkdir(parents=True)
    (tmp_path / "alias").symlink_to("real")
    return tmp_path


def test_directories_1_a_way_without_links_is_walked(top: Path) -> None:
    assert opened(f"{top}//real/./base/") == f"{top}/real/base"
    assert opened("/tmp") == os.path.realpath("/tmp")
    with pytest.raises(FileNotFoundError):
        opened(top / "real" / "gone")


@pytest.mark.parametrize("path", ["alias", "alias/base"])
def test_directories_1_no_link_is_followed(top: Path, path: str) -> None:
    with pytest.raises(LinkRefusedError, match=f"{top}/alias is a symbolic link, to real"):
        opened(top / path)
    directory = os.open(top, os.O_RDONLY)
    try:
        with pytest.raises(LinkRefusedError, match="top/alias is a symbolic link, to real"):
            open_below(directory, path.split("/"), "top")
    finally:
        os.close(directory)


@pytest.mark.parametrize("target", ["real", "{top}/real", "../{name}/real", "second"])
def test_directories_2_a_link_of_ours_leads_to_a_root_that_was_chosen(top: Path, target: str) -> None:
    (top / "second").symlink_to("./real/")
    (top / "link").symlink_to(target.format(top=top, name=top.name))

    assert opened(top / "link" / "base", chosen=True) == f"{top}/real/base"


def test_directories_2_the_root_itself_is_never_a_link(top: Path) -> None:
    with pytest.raises(LinkRefusedError, match="alias is a symbolic link"):
        opened(top / "alias", chosen=True)


def test_directories_2_a_loop_ends(top: Path) -> None:
    (top / "loop").symlink_to("loop")
    with pytest.raises(LinkRefusedError, match="loop is a symbolic link"):
        opened(top / "loop" / "base", chosen=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to somebody else")
@pytest.mark.parametrize("owned", ["the link", "the directory that it is in"])
def test_directories_2_a_link_of_somebody_else_is_not_followed(top: Path, owned: str) -> None:
    os.chown(top / "alias" if owned == "the link" else top, 12345, -1, follow_symlinks=False)

    with pytest.raises(LinkRefusedError, match="alias is a symbolic link"):
        opened(top / "alias" / "base", chosen=True)


def test_what_is_missing_is_made_below_no_link(top: Path) -> None:
    assert opened(top / "real" / "new" / "deep", make_mode=0o750) == f"{top}/real/new/deep"
    assert stat.S_IMODE((top / "real" / "new").stat().st_mode) == 0o750
    (top / "nowhere").symlink_to("gone")
    with pytest.raises(LinkRefusedError):
        opened(top / "nowhere" / "deep", make_mode=0o750)
    assert not (top / "gone").exists()
