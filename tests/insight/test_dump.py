"""Objects from files: whatever kubectl writes, and clear words for what it doesn't."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from pvbinder.insight.dump import DumpError, read_dumps

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}
READABLE = {
    "one YAML document": ("a.yaml", "kind: Pod\nmetadata: {name: web}\n", ["web"]),
    "several YAML documents, one of them empty": (
        "a.yaml",
        "kind: Pod\nmetadata: {name: a}\n---\n---\nkind: Pod\nmetadata: {name: b}\n",
        ["a", "b"],
    ),
    "JSON": ("a.json", json.dumps(POD), ["web"]),
    "a list as kubectl get -o json writes it": (
        "a.json",
        json.dumps({"kind": "List", "items": [POD, POD]}),
        ["web", "web"],
    ),
    "a typed list, whose items have no kind": (
        "a.json",
        json.dumps({"kind": "PodList", "items": [{"metadata": {"name": "x"}}]}),
        ["x"],
    ),
    "a list in a list": ("a.json", json.dumps({"kind": "List", "items": [{"kind": "List", "items": [POD]}]}), ["web"]),
    "YAML in flow style": ("a.yaml", "{kind: Pod, metadata: {name: web}}", ["web"]),
}


@pytest.mark.parametrize(("name", "text", "names"), READABLE.values(), ids=READABLE.keys())
def test_dump_1_what_kubectl_writes_can_be_read(tmp_path: Path, name: str, text: str, names: list[str]) -> None:
    (tmp_path / name).write_text(text)
    objects = list(read_dumps([str(tmp_path / name)]))
    assert [each["metadata"]["name"] for each in objects] == names
    assert all(each["kind"] == "Pod" for each in objects)


def test_dump_1_a_directory_is_all_its_files_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.yaml").write_text(f"kind: Pod\nmetadata: {{name: {name}}}\n")
    (tmp_path / "readme.txt").write_text("not this one")
    assert [each["metadata"]["name"] for each in read_dumps([str(tmp_path)])] == ["a", "b"]


def test_times_stay_the_text_that_they_were(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: Pod\nmetadata: {name: web, creationTimestamp: 2026-01-02T03:04:05Z}\n")
    (pod,) = read_dumps([str(tmp_path / "a.yaml")])
    assert pod["metadata"]["creationTimestamp"] == "2026-01-02T03:04:05Z"


UNREADABLE = {
    "broken YAML, with its line": (b"kind: Pod\nmetadata: {name: web\n", "line"),
    "no object at all": (b"just words", "it has no kind"),
    "no kind": (b"metadata: {name: web}", "it has no kind"),
    "no text": (b"\xff\xfe\x00", "no UTF-8 text"),
    "a Python object": (b"!!python/object/apply:os.system [ls]", "could not determine a constructor"),
    "endless nesting": (b"[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize(("content", "why"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_dump_2_what_cant_be_read_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    with pytest.raises(DumpError) as caught:
        list(read_dumps([str(file)]))
    assert str(file) in caught.value.message
    assert why in caught.value.message


@pytest.mark.parametrize(("content", "why"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_dump_2_standard_input_that_cant_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, content: bytes, why: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii", errors="surrogateescape"))
    with pytest.raises(DumpError, match=f"standard input.*{why}"):
        list(read_dumps(["-"]))


def test_dump_1_standard_input_is_utf_8_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "kind: Pod\nmetadata: {name: web, annotations: {who: Zoë}}\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text), encoding="ascii", errors="surrogateescape"))
    (pod,) = read_dumps(["-"])
    assert pod["metadata"]["annotations"] == {"who": "Zoë"}


def test_dump_2_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="doesn't exist"):
        list(read_dumps([str(tmp_path / "none.yaml")]))


def test_dump_3_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvbinder.insight.dump.MOST_BYTES", 10)
    (tmp_path / "a.yaml").write_text("kind: Pod\nmetadata: {name: web}\n")
    with pytest.raises(DumpError, match="larger than"):
        list(read_dumps([str(tmp_path / "a.yaml")]))


def test_dump_4_text_and_numbers_are_what_they_are_for_kubectl(tmp_path: Path) -> None:
    text = (
        "kind: Lease\nmetadata: {name: a}\nspec:\n"
        "  renewTime: 2026-01-02T03:04:05.678901Z\n  day: 2026-01-02\n  operators: [=, '!=']\n  size: 1e+06\n"
    )
    (tmp_path / "a.yaml").write_text(text)
    (lease,) = read_dumps([str(tmp_path / "a.yaml")])
    assert lease["spec"] == {
        "renewTime": "2026-01-02T03:04:05.678901Z",
        "day": "2026-01-02",
        "operators": ["=", "!="],
        "size": 1e6,
    }
