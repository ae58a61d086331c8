"""The removal of a tree, which never leaves the root, whatever the tree contains."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvbinder.volumes import removal
from pvbinder.volumes.removal import RemovalRefusedError, remove_tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The allowed root, with something valuable beside it."""
    (tmp_path / "root").mkdir()
    (tmp_path / "valuable").mkdir()
    (tmp_path / "valuable" / "data").write_text("keep")
    return tmp_path / "root"


def test_a_tree_goes_and_its_neighbours_stay(root: Path) -> None:
    (root / "disk" / "a" / "b").mkdir(parents=True)
    (root / "disk" / "a" / "file").write_text("x")
    (root / "disk" / "empty").mkdir()
    (root / "disk-2").mkdir()

    remove_tree(f"{root}/disk", root=str(root))

    assert [path.name for path in root.iterdir()] == ["disk-2"]


def test_a_file_goes_too(root: Path) -> None:
    (root / "image.raw").write_text("x")

    remove_tree(f"{root}/image.raw", root=str(root))

    assert not list(root.iterdir())


def test_removal_1_a_link_inside_of_the_tree_goes_and_what_it_leads_to_stays(root: Path) -> None:
    (root / "disk" / "deep").mkdir(parents=True)
    (root / "disk" / "out").symlink_to(root.parent / "valuable")
    (root / "disk" / "deep" / "file").symlink_to(root.parent / "valuable" / "data")
    (root / "disk" / "loop").symlink_to("loop")

    remove_tree(f"{root}/disk", root=str(root))

    assert not list(root.iterdir())
    assert (root.parent / "valuable" / "data").read_text() == "keep"


def test_removal_1_a_directory_that_becomes_a_link_meanwhile_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "disk" / "inner").mkdir(parents=True)
    (root / "disk" / "inner" / "file").write_text("x")
    remove_empty = removal._remove_empty

    def swapped(directory: int, name: str) -> bool:
        if name != "inner":
            return remove_empty(directory, name)
        (root / "disk" / "inner").rename(root / "moved")
        (root / "disk" / "inner").symlink_to(root.parent / "valuable")
        return False

    monkeypatch.setattr(removal, "_remove_empty", swapped)
    with pytest.raises(OSError) as raised:
        remove_tree(f"{root}/disk", root=str(root))

    assert raised.value.errno in (errno.ELOOP, errno.ENOTDIR)
    assert (root.parent / "valuable" / "data").read_text() == "keep"


REFUSED = {  # what is special about the path: what comes after the root
    "a link out at the end": "out",
    "a link out on the way": "out/data",
    "a link to a link out": "chain",
    "back up": "../valuable",
    "back up and down again": "disk/../../valuable",
    "the root itself": "",
    "the root itself, dotted": ".",
    "a null byte": "di\0sk",
    "half a character": "di\ud800sk",
}


@pytest.mark.parametrize("below", REFUSED.values(), ids=REFUSED.keys())
def test_removal_2_a_path_out_of_the_root_is_refused_and_nothing_is_touched(root: Path, below: str) -> None:
    (root / "disk").mkdir()
    (root / "out").symlink_to(root.parent / "valuable")
    (root / "chain").symlink_to("out")

    with pytest.raises(RemovalRefusedError) as refused:
        remove_tree(f"{root}/{below}", root=str(root))

    assert str(root) in refused.value.message
    assert sorted(path.name for path in root.iterdir()) == ["chain", "disk", "out"]
    assert (root.parent / "valuable" / "data").read_text() == "keep"


def test_removal_2_a_sibling_that_begins_like_the_root_is_not_below_it(root: Path) -> None:
    (root.parent / "root-2").mkdir()

    with pytest.raises(RemovalRefusedError):
        remove_tree(f"{root}-2", root=str(root))

    assert (root.parent / "root-2").is_dir()


LINKS_INSIDE = {  # what is special about the link: what comes after the root
    "at the end": "alias",
    "at the end, with a slash": "alias/",
    "on the way": "alias/disk",
    "to nothing": "nowhere",
    "to nothing, on the way": "nowhere/disk",
    "to itself": "loop/disk",
}


@pytest.mark.parametrize("below", LINKS_INSIDE.values(), ids=LINKS_INSIDE.keys())
def test_removal_2_a_link_that_stays_inside_is_refused_too(root: Path, below: str) -> None:
    (root / "real" / "disk").mkdir(parents=True)
    (root / "alias").symlink_to("real")
    (root / "nowhere").symlink_to("gone")
    (root / "loop").symlink_to("loop")

    with pytest.raises(RemovalRefusedError, match="is a symbolic link"):
        remove_tree(f"{root}/{below}", root=str(root))

    assert (root / "real" / "disk").is_dir()
    assert sorted(path.name for path in root.iterdir()) == ["alias", "loop", "nowhere", "real"]


@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.parametrize("name", ["tmp", "tmp/"])
def test_removal_2_a_root_that_is_a_link_is_refused(root: Path, chosen: bool, name: str) -> None:
    (root / "disk").mkdir()
    (root.parent / "tmp").symlink_to(root)

    with pytest.raises(RemovalRefusedError, match=f"{root.parent}/tmp is a symbolic link"):
        remove_tree(f"{root.parent}/tmp/disk", root=f"{root.parent}/{name}", chosen=chosen)

    assert (root / "disk").is_dir()


def test_removal_2_a_link_on_the_way_to_a_root_is_followed_only_if_the_root_was_chosen(root: Path) -> None:
    (root / "volumes" / "disk").mkdir(parents=True)
    (root.parent / "alias").symlink_to("root")
    path = f"{root.parent}/alias/volumes"

    with pytest.raises(RemovalRefusedError, match=f"{root.parent}/alias is a symbolic link, to root"):
        remove_tree(f"{path}/disk", root=path)
    assert (root / "volumes" / "disk").is_dir()

    remove_tree(f"{path}/disk", root=path, chosen=True)
    assert (root / "volumes").is_dir()
    assert not list((root / "volumes").iterdir())


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_removal_2_a_link_that_others_can_have_made_is_followed_for_nobody(root: Path, mode: int) -> None:
    """As in /tmp: any user who may write there may have put the link in the place of a directory."""
    (root / "volumes" / "disk").mkdir(parents=True)
    (root.parent / "alias").symlink_to("root")
    root.parent.chmod(mode)

    with pytest.raises(RemovalRefusedError, match="alias is a symbolic link"):
        remove_tree(f"{root.parent}/alias/volumes/disk", root=f"{root.parent}/alias/volumes", chosen=True)

    assert (root / "volumes" / "disk").is_dir()


SWAPPED = {  # the step that is a link from the moment on at which the one before it is open
    "the root": "root",
    "on the way": "way",
    "at the end": "disk",
}


@pytest.mark.parametrize("swapped", SWAPPED.values(), ids=SWAPPED.keys())
@pytest.mark.parametrize("chosen", [False, True])
def test_removal_1_a_step_that_becomes_a_link_between_two_calls_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch, swapped: str, chosen: bool
) -> None:
    valuable = root.parent / "valuable"
    for place in (root, valuable, valuable / "root"):
        (place / "way" / "disk").mkdir(parents=True)
        (place / "way" / "disk" / "data").write_text("keep")
    where = {"root": root, "way": root / "way", "disk": root / "way" / "disk"}[swapped]
    target = {"root": valuable, "way": valuable / "way", "disk": valuable / "way" / "disk"}[swapped]
    opened = os.open

    def swap(name: str, *arguments: Any, **options: Any) -> int:
        if name == swapped and not where.is_symlink():
            where.rename(root.parent / "aside")
            where.symlink_to(target)
        return opened(name, *arguments, **options)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises((RemovalRefusedError, OSError)):
        remove_tree(f"{root}/way/disk", root=str(root), chosen=chosen)

    assert where.is_symlink()
    assert (valuable / "way" / "disk" / "data").read_text() == "keep"


def test_removal_1_a_file_that_becomes_a_link_meanwhile_goes_itself(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "disk").write_text("x")
    unlink = os.unlink

    def swap(name: str, **options: Any) -> None:
        if options and not (root / "disk").is_symlink():
            unlink(root / "disk")
            (root / "disk").symlink_to(root.parent / "valuable" / "data")
        unlink(name, **options)

    monkeypatch.setattr(os, "unlink", swap)
    remove_tree(f"{root}/disk", root=str(root))

    assert not list(root.iterdir())
    assert (root.parent / "valuable" / "data").read_text() == "keep"


def test_removal_1_what_is_put_in_place_of_an_open_directory_is_not_emptied(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory that was opened is emptied wherever it is by then; its old name leads to something else."""
    (root / "disk" / "inner" / "file").mkdir(parents=True)
    scandir = os.scandir

    def swap(directory: int) -> Any:
        if not (root / "aside").exists():
            (root / "disk").rename(root / "aside")
            (root / "disk").symlink_to(root.parent / "valuable")
        return scandir(directory)

    monkeypatch.setattr(os, "scandir", swap)
    with pytest.raises(OSError):
        remove_tree(f"{root}/disk", root=str(root))

    assert (root.parent / "valuable" / "data").read_text() == "keep"
    assert (root / "disk").is_symlink()


def test_names_that_are_no_utf_8_go_like_others(root: Path) -> None:
    (root / os.fsdecode(b"disk/\xff\xfe/\x1b]0;title\x07")).mkdir(parents=True)
    (root / "disk" / ("n" * 255)).mkdir()

    remove_tree(f"{root}/disk", root=str(root))

    assert not list(root.iterdir())


@pytest.mark.parametrize("below", ["gone", "gone/deeper"])
def test_removal_3_what_is_not_there_is_removed_already(root: Path, below: str) -> None:
    remove_tree(f"{root}/{below}", root=str(root))
    remove_tree(f"{root}/none/{below}", root=f"{root}/none")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may remove anything")
def test_removal_3_what_may_not_be_removed_is_an_error(root: Path) -> None:
    (root / "disk" / "locked" / "inner").mkdir(parents=True)
    (root / "disk" / "locked").chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            remove_tree(f"{root}/disk", root=str(root))
    finally:
        (root / "disk" / "locked").chmod(0o700)
    remove_tree(f"{root}/disk", root=str(root))
    assert not list(root.iterdir())


@pytest.fixture
def few_open_files() -> Iterator[None]:
    """A process that may open little more than it has open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + removal.OPEN_DIRECTORIES_MAX + 10, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts the open files in /proc")
@pytest.mark.usefixtures("few_open_files")
def test_removal_4_a_tree_may_be_deeper_than_paths_are_long_and_files_are_open(root: Path) -> None:
    directory = os.open(root, os.O_RDONLY)
    for _ in range(3000):  # 3000 * 4 characters: more than a path may have
        os.mkdir("deep", dir_fd=directory)
        below = os.open("deep", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)

    remove_tree(f"{root}/deep", root=str(root))

    assert not list(root.iterdir())


def test_removal_5_another_file_system_below_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "disk" / "mounted").mkdir(parents=True)
    (root / "disk" / "mounted" / "data").write_text("keep")
    inode = (root / "disk" / "mounted").stat().st_ino
    fstat = os.fstat

    def as_if_mounted(opened: int) -> os.stat_result:
        found = fstat(opened)
        return os.stat_result([*found[:2], found.st_dev + 1, *found[3:]]) if found.st_ino == inode else found

    monkeypatch.setattr(os, "fstat", as_if_mounted)
    with pytest.raises(RemovalRefusedError, match="another file system is mounted at 'mounted'"):
        remove_tree(f"{root}/disk", root=str(root))

    assert (root / "disk" / "mounted" / "data").read_text() == "keep"


def test_removal_5_a_bind_mount_of_the_same_file_system_is_left_alone(root: Path) -> None:
    """Real mounts, in a name space of their own."""
    (root / "disk" / "deep" / "mounted").mkdir(parents=True)
    script = (
        f"mount --bind {root.parent}/valuable {root}/disk/deep/mounted && "
        f'{sys.executable} -c \'from pvbinder.volumes.removal import *; remove_tree("{root}/disk", root="{root}")\''
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr}")

    assert "another file system is mounted at 'mounted'" in done.stderr
    assert (root.parent / "valuable" / "data").read_text() == "keep"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel tells mounts in /proc")
def test_removal_5_a_directory_on_another_mount_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "disk" / "mounted").mkdir(parents=True)
    (root / "disk" / "mounted" / "data").write_text("keep")
    inode = (root / "disk" / "mounted").stat().st_ino
    mount_of = removal._mount_of

    def as_if_mounted(opened: int) -> removal.Mount:
        device, number = mount_of(opened)
        assert number is not None
        return device, number + (os.fstat(opened).st_ino == inode)

    monkeypatch.setattr(removal, "_mount_of", as_if_mounted)
    with pytest.raises(RemovalRefusedError, match="another file system is mounted at 'mounted'"):
        remove_tree(f"{root}/disk", root=str(root))

    assert (root / "disk" / "mounted" / "data").read_text() == "keep"


STEPS = st.lists(st.sampled_from(["a", "b", "..", ".", "link", "out"]), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(path=STEPS, tree=st.lists(STEPS, max_size=6))
def test_no_path_and_no_tree_ever_reaches_out(
    tmp_path_factory: pytest.TempPathFactory, path: list[str], tree: list[list[str]]
) -> None:
    top = tmp_path_factory.mktemp("top")
    root = top / "root"
    (root / "a").mkdir(parents=True)
    (top / "valuable" / "a" / "b").mkdir(parents=True)
    (root / "link").symlink_to("a")
    (root / "out").symlink_to(top / "valuable")
    (root / "a" / "out").symlink_to(top / "valuable")
    for steps in tree:
        inside = [step for step in steps if step in ("a", "b")]
        root.joinpath(*inside).mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(RemovalRefusedError, NotADirectoryError):
        remove_tree(f"{root}/{'/'.join(path)}", root=str(root))

    assert (top / "valuable" / "a" / "b").is_dir()
    assert root.is_dir()
