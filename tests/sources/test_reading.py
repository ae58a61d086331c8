"""What a path leads to: known by its content, read whole, or refused by name."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path

import pytest
from tests.sources.etcd_writer import etcd_file, puts
from tests.sources.objects import CLASS, SHOP, names
from tests.sources.test_archive import tar
from tests.sources.test_collected import MUST_GATHER, VELERO, as_archive, as_directory
from tests.sources.test_kine import make

from pvbinder.sources.errors import DumpError, DumpFileError
from pvbinder.sources.options import SourceOptions
from pvbinder.sources.reading import FORMS, read_contents, read_sources

YAML = b"kind: Pod\nmetadata: {name: a}\n"


def read(path: Path | str, **options: int) -> list[str]:
    return names([each for _, each in read_sources([str(path)], SourceOptions(**options))])  # type: ignore[arg-type]


FILES = {
    "etcd": (etcd_file(puts(SHOP), snapshot=True), 5),
    "Velero": (gzip.compress(tar(VELERO)), 4),
    "an archive that isn't compressed": (tar(MUST_GATHER), 4),
    "YAML": (YAML, 1),
    "compressed YAML": (gzip.compress(YAML), 1),
}


@pytest.mark.parametrize(("data", "count"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("name", ["a.yaml", "a.db", "a"])
def test_read_1_the_form_is_known_by_the_content(tmp_path: Path, data: bytes, count: int, name: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert len(read(tmp_path / name)) == count


@pytest.mark.parametrize(("data", "count"), FILES.values(), ids=FILES)
def test_read_4_standard_input_and_pipes_may_have_any_form(
    data: bytes, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert len(read("-")) == count


def test_read_4_what_a_shell_hands_over_is_read() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, gzip.compress(YAML))
        os.close(writing)
        assert read(f"/dev/fd/{reading}") == ["Pod/a"]
    finally:
        os.close(reading)


REFUSED = {
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "has no form that is read"),
    "a zip archive": (b"PK\x03\x04" + bytes(100), "is a zip archive"),
    "a compressed database of etcd": (gzip.compress(etcd_file(puts([CLASS]))), "is a compressed database"),
    "a compressed database of SQLite": (gzip.compress(b"SQLite format 3\0" + bytes(999)), "is a compressed database"),
    "gzip that ends": (gzip.compress(YAML)[:-9], "is cut off"),
    "a chart": (gzip.compress(tar({"c/Chart.yaml": b"a: b"})), "no collection that is known"),
}


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=REFUSED)
def test_read_1_what_has_no_known_form_is_refused_by_name(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DumpFileError, match=why) as caught:
        read(tmp_path / "x")
    assert caught.value.message.startswith(str(tmp_path / "x"))


def test_read_1_the_refusal_says_which_forms_there_are(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    with pytest.raises(DumpFileError) as caught:
        read(tmp_path / "x")
    assert caught.value.hint == FORMS


def test_a_compressed_text_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvbinder.sources.reading.DUMP_BYTES_MAX", 10)
    (tmp_path / "x").write_bytes(gzip.compress(YAML))
    with pytest.raises(DumpFileError, match="uncompressed"):
        read(tmp_path / "x")


def test_a_database_of_sqlite_comes_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"SQLite format 3\0")))
    with pytest.raises(DumpFileError, match="only from a file"):
        read("-")


@pytest.mark.parametrize("place", ["member/snap/db", "snap/db", "db/state.db", "server/db/state.db"])
def test_read_2_a_data_directory_of_etcd_or_of_k3s_is_read(tmp_path: Path, place: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    if place.endswith("state.db"):
        make(file)
    else:
        file.write_bytes(etcd_file(puts([CLASS])))
    assert "StorageClass/fast" in read(tmp_path)


def test_read_2_a_collection_may_be_some_directories_down(tmp_path: Path) -> None:
    as_directory(MUST_GATHER, tmp_path)
    assert len(read(tmp_path)) == len(read(tmp_path / "must-gather.local.1")) == 4


def test_read_3_what_is_left_out_is_said_with_the_name_of_its_source(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(etcd_file([*puts([CLASS]), ("/registry/secrets/a/b", b"k8s:enc:kms:v2:x")]))
    notes: list[str] = []
    assert len(list(read_sources([str(path)], say=notes.append))) == 1
    assert notes == [f"{path}: 1 value of secrets encrypted (kms), left out"]


def test_read_3_what_is_left_out_is_logged_if_nobody_listens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    list(read_sources([as_archive(MUST_GATHER, tmp_path)]))
    assert "not everything was read" in caplog.text


def test_read_5_nothing_is_written_beside_a_source(tmp_path: Path) -> None:
    make(tmp_path / "state.db")
    (tmp_path / "a.db").write_bytes(etcd_file(puts([CLASS])))
    as_archive(VELERO, tmp_path)
    before = {each: (each.stat().st_mtime_ns, each.read_bytes()) for each in tmp_path.iterdir()}
    for each in before:
        read(each)
    assert {each: (each.stat().st_mtime_ns, each.read_bytes()) for each in tmp_path.iterdir()} == before


def test_manifests_for_kubectl_are_texts_alone(tmp_path: Path) -> None:
    """--apply hands them on: no database and no archive can be applied."""
    (tmp_path / "a.yaml").write_bytes(YAML)
    assert list(read_contents([str(tmp_path)])) == [(str(tmp_path / "a.yaml"), YAML)]


def test_a_directory_without_manifests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"has no \.yaml"):
        read(tmp_path)
