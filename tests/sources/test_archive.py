"""Archives: what is read of them, and what is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from pathlib import PurePosixPath

import pytest

from pvbinder.sources.archive import BLOCK, ArchiveStream, is_tar, members
from pvbinder.sources.content import MemoryContent
from pvbinder.sources.errors import DumpFileError

LONG = "namespaces/" + "x" * 150 + "/" + "y" * 120 + ".yaml"


def info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """Return the header of a file."""
    found = tarfile.TarInfo(name)
    found.size, found.type, found.linkname = size, kind, link
    return found


def tar(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT, *others: tarfile.TarInfo) -> bytes:
    """Return an archive of `files`, and of `others` before them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for each in others:
            archive.addfile(each)
        for name, data in files.items():
            archive.addfile(info(name, len(data)), io.BytesIO(data))
    return out.getvalue()


def read(data: bytes) -> dict[str, bytes | None]:
    stream = ArchiveStream(MemoryContent("x.tar", data))
    return {str(each.path): each.read() if each.read is not None else None for each in members(stream)}


FILES = {"a.yaml": b"a", "b/c.json": b"c" * 5000, LONG: b"long", "empty": b""}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:])]
)
def test_archive_1_regular_files_are_given_with_their_names(form: int, pack: object) -> None:
    data = pack(tar(FILES, form))  # type: ignore[operator]
    assert read(data) == FILES


def test_archive_1_old_headers_have_a_prefix() -> None:
    assert list(read(tar({"d" * 90 + "/" + "e" * 90: b"x"}, tarfile.USTAR_FORMAT))) == ["d" * 90 + "/" + "e" * 90]


def test_archive_1_links_are_named_and_devices_and_directories_passed_over() -> None:
    others = [
        info("link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        info("hard", kind=tarfile.LNKTYPE, link="a.yaml"),
        info("dir", kind=tarfile.DIRTYPE),
        info("device", kind=tarfile.CHRTYPE),
        info("pipe", kind=tarfile.FIFOTYPE),
    ]
    assert read(tar({"a.yaml": b"a"}, tarfile.GNU_FORMAT, *others)) == {"link": None, "hard": None, "a.yaml": b"a"}


def test_files_that_nobody_reads_are_passed_over() -> None:
    stream = ArchiveStream(MemoryContent("x.tar", tar(FILES)))
    assert [each.path for each in members(stream)] == [PurePosixPath(name) for name in FILES]


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "./../x"])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_archive_2_a_path_that_leads_out_is_refused(name: str, form: int) -> None:
    with pytest.raises(DumpFileError, match="would be outside of it"):
        read(tar({name: b"x"}, form))


def test_archive_3_a_gzip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvbinder.sources.archive.RATIO_BYTES_FREE", 4 << 20)
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = bytearray(tar({"a": b"x"})[:BLOCK])
    size = 12 << 20
    head[124:136] = b"%011o\0" % size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    data = bomb.compress(bytes(head)) + b"".join(bomb.compress(bytes(1 << 20)) for _ in range(12)) + bomb.flush()
    with pytest.raises(DumpFileError, match="a byte of it stands for more than 250"):
        list(members(ArchiveStream(MemoryContent("bomb", data))))


def test_archive_3_a_file_that_is_too_large_is_refused_before_it_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvbinder.sources.archive.FILE_BYTES_MAX", 4000)
    with pytest.raises(DumpFileError, match=r"b/c\.json in x\.tar is larger"):
        read(tar(FILES))


def test_archive_3_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvbinder.sources.archive.FILES_MAX", 3)
    with pytest.raises(DumpFileError, match="more than 3 files"):
        read(tar(FILES))


def test_archive_3_more_in_all_than_is_allowed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvbinder.sources.archive.ALL_BYTES_MAX", 4000)
    with pytest.raises(DumpFileError, match="GiB in it"):
        read(tar(FILES))


def test_archive_3_a_name_of_a_mebibyte_or_of_a_hundred_directories_is_refused() -> None:
    with pytest.raises(DumpFileError, match="the name of a file in it has"):
        read(tar({"x" * (1 << 21): b""}))
    with pytest.raises(DumpFileError, match="100 directories deep"):
        read(tar({"/".join(["d"] * 100): b""}))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_archive_4_an_archive_that_is_cut_off_anywhere_is_refused(pack: object) -> None:
    data = pack(tar(FILES))  # type: ignore[operator]
    end = len(data) if data[:2] == b"\x1f\x8b" else 512 * 14  # a plain archive has more zeros at its end than it needs
    for at in range(0, end, 61):
        with pytest.raises(DumpFileError, match=r"cut off|damaged"):
            read(data[:at])


def test_archive_4_a_changed_byte_ends_in_an_error_or_changes_one_file() -> None:
    data = tar(FILES)
    for at in range(0, len(data), 37):
        try:
            found = read(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        except DumpFileError:
            continue
        assert len(found) <= len(FILES)


def test_archive_4_a_compressed_archive_has_a_checksum() -> None:
    data = bytearray(gzip.compress(tar(FILES)))
    data[-6] ^= 1
    with pytest.raises(DumpFileError, match="damaged"):
        read(bytes(data))


def test_a_header_of_pax_that_is_none_is_refused() -> None:
    data = bytearray(tar({LONG: b""}))
    data[BLOCK : BLOCK + 3] = b"999"
    with pytest.raises(DumpFileError, match="no pax header"):
        read(bytes(data))


def test_text_is_no_archive() -> None:
    assert not is_tar(b"kind: Pod\n" * 52)
    assert not is_tar(bytes(BLOCK))
    assert is_tar(tar(FILES)[:BLOCK])
