"""Private files: their writing in directories that others may write, and the refusals when they are read."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pvbinder.server.files.private_files import (
    PrivateFileError,
    check_way_to,
    private_directory,
    read_secret,
    read_trusted,
    write_private,
)

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory that everybody may write."""
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


def names_while_writing(directory: Path, monkeypatch: pytest.MonkeyPatch, path: Path) -> dict[str, int]:
    """Write `path`, and return the names in `directory` and their modes as they are before the rename."""
    seen: dict[str, int] = {}
    synced = os.fsync

    def look_and_sync(handle: int) -> None:
        seen.update({each.name: stat.S_IMODE(each.stat().st_mode) for each in directory.iterdir()})
        synced(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", look_and_sync)
        write_private(path, b"secret")
    return seen


def test_private_files_1_the_new_file_has_a_name_that_nobody_can_guess_and_is_private_from_the_start(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = names_while_writing(shared, monkeypatch, shared / "kc")
    (shared / "kc").unlink()
    second = names_while_writing(shared, monkeypatch, shared / "kc")
    unfinished = [name for name in (*first, *second) if name != "kc"]
    assert len(unfinished) == len(set(unfinished)) == 2
    assert set(first.values()) | set(second.values()) == {0o600}
    assert [path.name for path in shared.iterdir()] == ["kc"]


def test_private_files_1_a_link_in_the_place_of_the_old_name_or_of_the_file_leads_nowhere(shared: Path) -> None:
    victim = shared.parent / "victim"
    victim.write_text("precious")
    for name in (f".kc.{os.getpid()}.new", "kc"):
        (shared / name).symlink_to(victim)
    write_private(shared / "kc", b"secret")
    assert victim.read_text() == "precious"
    assert not (shared / "kc").is_symlink()
    assert (shared / "kc").read_bytes() == b"secret"


def test_private_files_1_a_file_that_is_in_the_way_is_never_taken(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pvbinder.server.files.private_files.secrets.token_hex", lambda _: "guessed")
    planted = shared / ".kc.guessed.new"
    planted.write_text("")
    planted.chmod(0o666)
    with pytest.raises(PrivateFileError, match="File exists"):
        write_private(shared / "kc", b"secret")
    assert planted.read_bytes() == b"", "nothing secret is in what others may read"
    assert not (shared / "kc").exists()


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_private_files_1_the_mode_is_0600_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_private(tmp_path / "kc", b"secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "kc").stat().st_mode) == 0o600


def test_private_files_2_a_write_that_fails_leaves_the_file_of_before_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_private(tmp_path / "kc", b"before")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PrivateFileError, match=r"can't write .*kc: the disk is full"):
        write_private(tmp_path / "kc", b"after")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"kc": b"before"}


def test_private_files_2_file_and_directory_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fsync

    def note_and_sync(handle: int) -> None:
        synced.append(stat.S_IFMT(os.fstat(handle).st_mode))
        sync(handle)

    monkeypatch.setattr(os, "fsync", note_and_sync)
    write_private(tmp_path / "kc", b"secret")
    assert synced == [stat.S_IFREG, stat.S_IFDIR]


def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(0o600)
    return path


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def turned_into_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def turned_into_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "the group may read it": (lambda path: path.chmod(0o640), "others may read .*mode 0640"),
    "everybody may read it": (lambda path: path.chmod(0o604), "others may read"),
    "the group may write it": (lambda path: path.chmod(0o620), "others may write"),
    "everybody may write it": (lambda path: path.chmod(0o666), "others may write"),
    "a link": (linked, "is a link"),
    "a pipe": (turned_into_a_pipe, "is a pipe, not a regular file"),
    "a directory": (turned_into_a_directory, "is a directory, not a regular file"),
    "too long": (lambda path: path.write_bytes(b"x" * (2 << 20)), "is larger than"),
}


@pytest.mark.parametrize(("spoil", "says"), SPOILT.values(), ids=SPOILT.keys())
def test_private_files_3_a_secret_is_refused_when(tmp_path: Path, spoil: Callable[[Path], object], says: str) -> None:
    path = secret_file(tmp_path)
    assert read_secret(path) == b"secret"
    spoil(path)
    with pytest.raises(PrivateFileError, match=says) as refused:
        read_secret(path)
    assert str(path) in refused.value.message
    assert refused.value.hint


@only_root
def test_private_files_3_a_secret_of_another_user_is_refused(tmp_path: Path) -> None:
    path = secret_file(tmp_path)
    os.chown(path, 54321, 54321)
    for read in (read_secret, read_trusted):
        with pytest.raises(PrivateFileError, match="belongs to user 54321"):
            read(path)


def test_private_files_3_what_somebody_named_may_be_a_link_and_readable_but_not_writable(tmp_path: Path) -> None:
    path = secret_file(tmp_path)
    path.chmod(0o644)
    linked(path)
    assert read_trusted(path) == b"secret"
    (tmp_path / "elsewhere").chmod(0o646)
    with pytest.raises(PrivateFileError, match="others may write"):
        read_trusted(path)


@pytest.mark.parametrize("read", [read_secret, read_trusted])
def test_private_files_3_a_pipe_that_nobody_writes_to_keeps_nobody_waiting(
    tmp_path: Path, read: Callable[[Path], bytes]
) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    refused = threading.Event()

    def attempt() -> None:
        with pytest.raises(PrivateFileError, match="is a pipe"):
            read(tmp_path / "pipe")
        refused.set()

    reader = threading.Thread(target=attempt, daemon=True)
    reader.start()
    assert refused.wait(20)


def test_private_files_4_a_directory_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    for name in ("data", "new/deep"):
        private_directory(tmp_path / name)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700


@only_root
def test_private_files_4_a_directory_of_another_user_is_refused_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    os.chown(tmp_path / "data", 54321, 54321)
    with pytest.raises(PrivateFileError, match="belongs to user 54321"):
        private_directory(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o755


@only_root
def test_private_files_4_a_link_of_another_user_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "link").symlink_to("ours")
    private_directory(tmp_path / "link")  # our own is fine
    os.chown(tmp_path / "link", 54321, 54321, follow_symlinks=False)
    for path in (tmp_path / "link", tmp_path / "link" / "data"):
        with pytest.raises(PrivateFileError, match="is a link of user 54321"):
            private_directory(path)


@pytest.fixture
def in_shared(shared: Path) -> Iterator[Path]:
    yield shared / "data"
    shared.chmod(0o700)


def test_private_files_4_a_place_that_others_may_write_is_refused_unless_it_is_sticky(in_shared: Path) -> None:
    with pytest.raises(PrivateFileError, match=r"others may write .*shared \(mode 0777\)"):
        private_directory(in_shared)
    in_shared.parent.chmod(0o1777)
    private_directory(in_shared)


def test_private_files_4_links_that_lead_round_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(PrivateFileError, match="circle of links"):
        check_way_to(tmp_path / "a")


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PrivateFileError, match="no regular file, and is not replaced"):
        write_private(tmp_path / "pipe", b"secret")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
