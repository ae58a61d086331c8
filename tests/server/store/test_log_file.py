"""The log as bytes (LOG_FILE-1): which frames are read, which are sound, and whether acknowledged ones are lost."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pvbinder.server.store.log_file import Frame, LogFile, _is_older_generation, read_log

SIZE = 512
SALTS, OLDER = b"saltSALT", b"oldeOLDE"
MAGIC = 0x377F0682


def checksum(seed: tuple[int, int], data: bytes, order: str) -> tuple[int, int]:
    """Return SQLite's checksum, said in another way than the code says it."""
    first, second = seed
    for at in range(0, len(data), 8):
        one, two = struct.unpack(f"{order}II", data[at : at + 8])
        first = (first + one + second) % 2**32
        second = (second + two + first) % 2**32
    return first, second


def page(letter: bytes) -> bytes:
    return letter * SIZE


class Log:
    """A log that is being written."""

    def __init__(self, *, magic: int = MAGIC, salts: bytes = SALTS) -> None:
        self.order = ">" if magic & 1 else "<"
        self.salts = salts
        head = struct.pack(">IIII", magic, 3007000, SIZE, 0) + salts
        self.sums = checksum((0, 0), head, self.order)
        self.data = head + struct.pack(">II", *self.sums)

    def add(self, number: int, letter: bytes, pages: int = 0) -> Log:
        """Add a frame; with `pages` it ends a commit."""
        head = struct.pack(">II", number, pages)
        self.sums = checksum(checksum(self.sums, head, self.order), page(letter), self.order)
        self.data += head + self.salts + struct.pack(">II", *self.sums) + page(letter)
        return self


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def shared(committed: int, in_database: int = 0, salts: bytes = SALTS) -> bytes:
    """Return the file of what the processes share: its header twice, and how much is in the database."""
    header = bytes(16) + struct.pack("=I", committed) + bytes(12) + salts
    header += struct.pack("=II", *checksum((0, 0), header, "="))
    return header * 2 + struct.pack("=II", in_database, 0)


FRAME = 24 + SIZE
TWO = Log().add(2, b"a").add(3, b"b", 3).add(2, b"c", 3).data  # two commits, of two pages and of one
ONE, OTHER, THIRD = (
    Frame(2, page(b"a"), False, True),
    Frame(3, page(b"b"), True, True),
    Frame(2, page(b"c"), True, True),
)
LAST = Frame(2, page(b"d"), True, False)
THREE = Log().add(2, b"a").add(3, b"b", 3).add(2, b"c", 3).add(2, b"d", 3).data


def unsound(frame: Frame, data: bytes | None = None) -> Frame:
    return Frame(frame.page, frame.data if data is None else data, frame.ends_commit, False)


BROKEN = bytes([ord("a") ^ 1]) + page(b"a")[1:]
LOGS: dict[str, tuple[bytes, bytes, LogFile]] = {  # the log, the shared file
    "nothing": (b"", b"", LogFile(0, [], 0, False)),
    "a header alone": (Log().data, b"", LogFile(SIZE, [], 0, False)),
    "half a header": (TWO[:31], b"", LogFile(0, [], 0, False)),
    "a damaged header": (changed(TWO, 9), b"", LogFile(0, [], 0, False)),
    "a header of another kind": (Log(magic=MAGIC + 2).add(2, b"a", 2).data, b"", LogFile(0, [], 0, False)),
    "no header, and commits that are missing": (b"", shared(3), LogFile(0, [], 0, True)),
    "no header, and all is in the database": (b"", shared(3, 3), LogFile(0, [], 0, False)),
    "no header, and a part is in the database": (b"", shared(3, 2), LogFile(0, [], 0, True)),
    "whole": (TWO, b"", LogFile(SIZE, [ONE, OTHER, THIRD], 3, False)),
    "whole, as the shared file says": (TWO, shared(3), LogFile(SIZE, [ONE, OTHER, THIRD], 3, False)),
    "all of it and more, as the shared file says": (TWO, shared(2), LogFile(SIZE, [ONE, OTHER, THIRD], 3, False)),
    "a commit is missing": (TWO, shared(4), LogFile(SIZE, [ONE, OTHER, THIRD], 3, True)),
    "in the other order of bytes": (
        Log(magic=MAGIC + 1).add(2, b"a").add(3, b"b", 3).data,
        b"",
        LogFile(SIZE, [ONE, OTHER], 2, False),
    ),
    "a commit without its end": (TWO[: 32 + FRAME], b"", LogFile(SIZE, [ONE], 0, False)),
    "a torn frame at the end": (TWO[:-1], b"", LogFile(SIZE, [ONE, OTHER], 2, False)),
    "a frame without its end, as the shared file says": (TWO[:-1], shared(3), LogFile(SIZE, [ONE, OTHER], 2, True)),
    "the last commit is damaged": (
        THREE[: 32 + 2 * FRAME] + changed(THREE[32 + 2 * FRAME : 32 + 3 * FRAME], 4),
        b"",
        LogFile(SIZE, [ONE, OTHER, unsound(THIRD)], 2, False),
    ),
    "the last but one is damaged": (
        changed(THREE, 32 + 2 * FRAME + 16),
        b"",
        LogFile(SIZE, [ONE, OTHER, unsound(THIRD), LAST], 2, True),
    ),
    "the first frame is damaged": (
        changed(TWO, 32 + 24),
        b"",
        LogFile(SIZE, [unsound(ONE, BROKEN), OTHER, THIRD], 0, True),
    ),
    "the first frame is damaged, and was in the database": (
        changed(TWO, 32 + 24),
        shared(0),
        LogFile(SIZE, [unsound(ONE, BROKEN), OTHER, THIRD], 0, False),
    ),
    "frames of an earlier time after the last": (
        Log().add(2, b"a").add(3, b"b", 3).data + Log(salts=OLDER).add(2, b"z", 3).data[32:],
        b"",
        LogFile(SIZE, [ONE, OTHER], 2, False),
    ),
    "a frame of an earlier time in the middle": (
        TWO[: 32 + FRAME] + Log(salts=OLDER).add(2, b"z", 3).data[32:] + TWO[32 + 2 * FRAME :],
        b"",
        LogFile(SIZE, [ONE, Frame(2, page(b"z"), False, False), unsound(THIRD)], 0, False),
    ),
    "a shared file of another time": (TWO, shared(9, salts=OLDER), LogFile(SIZE, [ONE, OTHER, THIRD], 3, False)),
    "a shared file that is too short": (TWO, shared(9)[:99], LogFile(SIZE, [ONE, OTHER, THIRD], 3, False)),
    "a shared file just long enough": (TWO, shared(9)[:100], LogFile(SIZE, [ONE, OTHER, THIRD], 3, True)),
    "a shared file of two minds": (TWO, changed(shared(9), 50), LogFile(SIZE, [ONE, OTHER, THIRD], 3, False)),
    "a shared file that is damaged twice": (
        TWO,
        changed(changed(shared(9), 3), 51),
        LogFile(SIZE, [ONE, OTHER, THIRD], 3, False),
    ),
    "a shared file of zeros": (b"", bytes(200), LogFile(0, [], 0, False)),
}


@pytest.mark.parametrize(("log", "beside", "expected"), LOGS.values(), ids=LOGS.keys())
def test_log_file_1_what_is_read_and_what_is_lost(tmp_path: Path, log: bytes, beside: bytes, expected: LogFile) -> None:
    for suffix, data in (("-wal", log), ("-shm", beside)):
        if data:
            (tmp_path / f"store.db{suffix}").write_bytes(data)

    assert read_log(tmp_path / "store.db") == expected


REST_OF_AN_OLDER_LOG = {
    "all from before": (Log(salts=OLDER).add(1, b"a").add(2, b"b").data, True),
    "one of ours after it": (Log(salts=OLDER).add(1, b"a").data + Log().add(2, b"b").data[32:], False),
    "our salts inside of a page": (Log(salts=OLDER).add(1, b"a").data[:-SIZE] + SALTS * 64 + bytes(FRAME), True),
    "a frame of ours that was cut": (Log(salts=OLDER).add(1, b"a").data + Log().add(2, b"b").data[32:-1], True),
}


@pytest.mark.parametrize(("log", "is_older"), REST_OF_AN_OLDER_LOG.values(), ids=REST_OF_AN_OLDER_LOG.keys())
def test_what_is_from_before_the_log_began_anew(log: bytes, is_older: bool) -> None:
    assert _is_older_generation(log, 32, FRAME, Log().data) is is_older
