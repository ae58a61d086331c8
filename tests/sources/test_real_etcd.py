"""Files that a real etcd wrote: recorded ones (``data/``, see `record`), and new ones where etcd is installed."""

from __future__ import annotations

import gzip
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sources.etcd_history import COMPACTED, LARGE, history, state
from tests.sources.etcd_process import IS_INSTALLED, Etcd, running_etcd
from tests.sources.etcd_writer import Change, path_of
from tests.sources.objects import DEFINITION, SHOP, names

from pvbinder.files import opened_file
from pvbinder.sources.content import FileContent
from pvbinder.sources.errors import DumpFileError
from pvbinder.sources.etcd import read_etcd
from pvbinder.sources.options import SourceOptions
from pvbinder.sources.reading import read_sources

DATA = Path(__file__).parent / "data"
RECORDED = sorted(path.name for path in DATA.glob("*.gz"))
HISTORY = history()
NEWEST = len(HISTORY) + 1
with_etcd = pytest.mark.skipif(
    not IS_INSTALLED, reason="etcd and etcdctl aren't installed: recorded files are read only"
)


def read(path: Path, at: int | None = None) -> dict[str, tuple[int, bytes]]:
    with opened_file(path) as opened:
        assert opened is not None
        found = read_etcd(FileContent(str(path), opened), at)
        return {one.key.decode(): (one.revision, one.value) for one in found}


@pytest.fixture(params=RECORDED)
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "etcd.db"
    path.write_bytes(gzip.decompress((DATA / request.param).read_bytes()))
    return path


def check(path: Path) -> None:
    """Assert that a file has the whole of the history that isn't compacted."""
    for at in (None, NEWEST, NEWEST - 1, NEWEST - 100, COMPACTED + 1, COMPACTED):
        assert read(path, at) == state(HISTORY, NEWEST if at is None else at)
    for at in (COMPACTED - 1, NEWEST + 1):
        with pytest.raises(DumpFileError):
            read(path, at)


def test_three_files_are_recorded() -> None:
    assert RECORDED == ["etcd-running.db.gz", "etcd-snapshot.db.gz", "etcd-stopped.db.gz"]


def test_a_recorded_file_has_each_key_at_each_revision(recorded: Path) -> None:
    check(recorded)


def test_a_recorded_file_has_objects_and_says_what_is_encrypted(recorded: Path) -> None:
    notes: list[str] = []
    found = [each for _, each in read_sources([str(recorded)], SourceOptions(), notes.append)]
    assert set(names([*SHOP, DEFINITION])) < set(names(found))
    assert "Widget/w" not in names(found)
    assert notes == [f"{recorded}: 1 value of secrets encrypted (aescbc), left out"]


@pytest.mark.slow
def test_a_recorded_file_that_is_torn_at_any_page_ends_in_an_error_or_in_what_was_there(recorded: Path) -> None:
    data = recorded.read_bytes()
    right = state(HISTORY, NEWEST)
    torn = recorded.with_name("torn.db")
    pages = len(data) // 4096
    for page in range(2, pages, max(1, pages // 12)):
        zeroed = data[: page * 4096] + bytes(4096) + data[(page + 1) * 4096 :]
        for changed in (zeroed, data[: page * 4096 + 100], data[: page * 4096]):
            torn.write_bytes(changed)
            try:
                found = read(torn)
            except DumpFileError:
                continue
            assert found.keys() == right.keys()
            differing = [key for key in found if found[key] != right[key]]
            assert differing in ([], [path_of(LARGE)])  # in the middle of a value nothing can be noticed


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with running_etcd(tmp_path / "etcd") as running:
        yield running


@with_etcd
@pytest.mark.slow
def test_a_snapshot_a_file_in_use_and_a_file_after_the_end_are_read_alike(tmp_path: Path) -> None:
    with running_etcd(tmp_path / "etcd") as etcd:
        etcd.change(HISTORY[:COMPACTED])
        etcd.compact(COMPACTED)
        etcd.change(HISTORY[COMPACTED:])
        check(etcd.snapshot(tmp_path / "snapshot.db"))
        check(etcd.file)
        file = etcd.file
    check(file)
    assert len(list(read_sources([str(tmp_path / "etcd")], say=lambda _: None))) > len(SHOP)


@with_etcd
@pytest.mark.slow
def test_etcd_4_a_file_is_read_as_of_one_revision_while_etcd_writes_and_compacts(etcd: Etcd, tmp_path: Path) -> None:
    """The only writer numbers its values: at revision N key k has the last number that was put to it up to N."""
    first = 2
    written: list[Change] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            number = len(written)
            change = (f"/registry/k{number * 7 % 60}", b"%06d-" % number * 40)
            written.append(change)
            assert etcd.change([change]) == first + number
            if number % 400 == 399:
                etcd.compact(first + number - 100)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen: set[int] = set()
        while len(seen) < 25 and writer.is_alive():
            found = read(etcd.file)
            newest = max((revision for revision, _ in found.values()), default=0)
            assert found == state(written, newest)
            seen.add(newest)
    finally:
        stop.set()
        writer.join(60)
    assert len(seen) == 25
    copy = shutil.copy(etcd.snapshot(tmp_path / "s.db"), tmp_path / "t.db")
    assert read(Path(copy)) == state(written, first + len(written) - 1)
