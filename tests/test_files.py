"""Files that users name, and other things under such names."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pvbinder.files import UnreadableFileError, files_below, files_in, read_file


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo.yaml")
    return tmp_path / "fifo.yaml"


def read(path: Path | str) -> bytes:
    return read_file(path, bytes_max=100)


def read_all(directory: Path) -> list[bytes]:
    return [content for _, content in files_in(directory, (".yaml",), bytes_max=100)]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def make_device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, 0o20600, os.makedev(1, 5))  # as /dev/zero


NO_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a pipe": (make_fifo, "it is a pipe, not a file"),
    "a socket": (make_socket, "it is a socket, not a file"),
    "a device": (make_device, "it is a device, not a file"),
    "a directory": (Path.mkdir, "it is a directory, not a file"),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "doesn't exist|a symbolic link to nothing"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "[Ss]ymbolic link"),
}


@pytest.fixture(params=NO_FILES.values(), ids=list(NO_FILES))
def no_file(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, str]:
    make, why = request.param
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    make(Path("a.yaml"))
    return tmp_path / "a.yaml", why


def test_files_1_what_is_no_file_is_refused_without_waiting(no_file: tuple[Path, str]) -> None:
    path, why = no_file
    with pytest.raises(UnreadableFileError, match=why) as refused:
        read(path)
    assert str(path) in refused.value.message


def test_files_1_a_file_that_becomes_a_pipe_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text("x")
    opened = os.open

    def swap(path: Any, *arguments: Any, **options: Any) -> int:
        if Path(path).name == "a.yaml":
            (tmp_path / "a.yaml").unlink()
            os.mkfifo(tmp_path / "a.yaml")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(UnreadableFileError, match="it is a pipe"):
        read(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").unlink()
    (tmp_path / "a.yaml").write_text("x")
    with pytest.raises(UnreadableFileError, match="it is a pipe"):
        read_all(tmp_path)


def test_files_1_the_null_device_is_an_empty_file_and_other_devices_are_none() -> None:
    assert read("/dev/null") == b""
    with pytest.raises(UnreadableFileError, match="it is a device"):
        read("/dev/zero")


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "n" * 5000])
def test_files_1_names_that_no_file_has_are_an_error(name: str) -> None:
    with pytest.raises(UnreadableFileError):
        read(name)


@pytest.mark.parametrize("where", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_files_2_a_pipe_that_was_handed_over_is_read(where: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"kind: Pod")
    os.close(writing)
    try:
        assert read(where.format(reading)) == b"kind: Pod"
    finally:
        os.close(reading)
    with pytest.raises(UnreadableFileError, match="Bad file descriptor"):
        read(where.format(987654))


def test_files_3_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(UnreadableFileError, match="larger than 100 bytes"):
        read(tmp_path / "sparse")
    (tmp_path / "right").write_bytes(b"x" * 100)
    assert len(read(tmp_path / "right")) == 100


def test_files_3_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").write_bytes(b"x" * 50)
    reads = os.read

    def grow(descriptor: int, count: int) -> bytes:
        with (tmp_path / "log").open("ab") as file:
            file.write(b"y" * 50)
        return reads(descriptor, count)

    monkeypatch.setattr(os, "read", grow)
    with pytest.raises(UnreadableFileError, match="larger than 100 bytes"):
        read(tmp_path / "log")


def test_files_4_a_directory_with_something_that_is_no_file_is_refused_by_its_name(no_file: tuple[Path, str]) -> None:
    path, why = no_file
    with pytest.raises(UnreadableFileError, match=why) as refused:
        read_all(path.parent)
    assert str(path) in refused.value.message


@pytest.mark.parametrize("target", ["../secret.yaml", "{top}/secret.yaml", "out/secret.yaml", "/etc/hostname"])
def test_files_4_a_link_out_of_the_directory_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret.yaml").write_text("secret")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "out").symlink_to("..")
    (tmp_path / "given" / "a.yaml").symlink_to(target.format(top=tmp_path))
    with pytest.raises(UnreadableFileError, match=r"it is a symbolic link (out of its directory, to|to nothing)"):
        read_all(tmp_path / "given")


def test_files_4_links_that_stay_inside_are_read(tmp_path: Path) -> None:
    """As a ConfigMap is mounted."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "a.yaml").write_text("a")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    (tmp_path / "b.yaml").write_text("b")
    (tmp_path / "fifo").mkdir()  # not asked for
    (tmp_path / "alias").symlink_to(".")

    assert read_all(tmp_path) == [b"a", b"b"]
    assert read_all(tmp_path / "alias") == [b"a", b"b"]


def test_files_4_a_file_that_becomes_a_link_out_meanwhile_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "given" / "inner").mkdir(parents=True)
    (tmp_path / "given" / "inner" / "a.yaml").write_text("a")
    (tmp_path / "given" / "a.yaml").symlink_to("inner/a.yaml")
    opened = os.open

    def swap(path: Any, *arguments: Any, **options: Any) -> int:
        file = tmp_path / "given" / "inner" / "a.yaml"
        if path == "a.yaml" and not file.is_symlink():
            file.unlink()
            file.symlink_to(tmp_path / "secret")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(UnreadableFileError):
        read_all(tmp_path / "given")


def descriptors() -> Iterator[str]:
    yield from os.listdir("/proc/self/fd")  # noqa: PTH208


def test_nothing_stays_open(no_file: tuple[Path, str]) -> None:
    before = len(list(descriptors()))
    for _ in range(3):
        for attempt in (lambda: read(no_file[0]), lambda: read_all(no_file[0].parent)):
            with pytest.raises(UnreadableFileError):
                attempt()
    assert len(list(descriptors())) == before


def test_files_5_no_link_is_followed_in_a_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_text("x")
    (tmp_path / "outside").write_text("secret")
    (tree / "a" / "link").symlink_to(tmp_path / "outside")
    (tree / "around").symlink_to(tmp_path)
    os.mkfifo(tree / "pipe")
    found = {str(each.path): each.read() if each.read else None for each in files_below(tree, **BOUNDS)}
    assert found == {"a/b/file": b"x", "a/link": None, "around": None, "pipe": None}


def test_files_3_a_tree_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("one", "two", "a/b/three"):
        (tmp_path / name).write_text("xyz")
    for bound, value, why in (("files_max", 2, "more than 2 files"), ("levels_max", 1, "more than 1 levels")):
        with pytest.raises(UnreadableFileError, match=why):
            list(files_below(tmp_path, **{**BOUNDS, bound: value}))
    with pytest.raises(UnreadableFileError, match="larger than 2 bytes"):
        [each.read() for each in files_below(tmp_path, **{**BOUNDS, "bytes_max": 2}) if each.read]


BOUNDS = {"bytes_max": 100, "levels_max": 9, "files_max": 9}
