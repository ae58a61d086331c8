"""Objects from files: all forms that kubectl writes, and clear errors for others."""

from __future__ import annotations

import io
import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.processor import at_most

from pvbinder.sources.errors import DumpError, DumpFileError
from pvbinder.sources.reading import check_dump, read_dumps

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
    monkeypatch.setattr("pvbinder.sources.reading.DUMP_BYTES_MAX", 10)
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


BOMBS = {  # what is special about the text: (the text, why it is refused)
    "laughs": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n"
            for before, after in zip("abcdefghij", "bcdefghijk", strict=True)
        ),
        r"line \d+: document contains excessive aliasing",
    ),
    "laughs in maps": (
        "kind: Pod\na: &a {x: y}\n"
        + "".join(
            f"{after}: &{after} {{{','.join(f'k{n}: *{before}' for n in range(9))}}}\n"
            for before, after in zip("abcdefghij", "bcdefghijk", strict=True)
        ),
        "excessive aliasing",
    ),
    "one long text, often": ("a: &a " + "x" * 60_000 + "\nb: [" + "*a," * 9_000 + "]\n", "excessive aliasing"),
    "maps merged into maps": (
        "a: &a {" + ",".join(f"k{n}: {n}" for n in range(500)) + "}\nb:\n" + "- <<: *a\n" * 5_000,
        "excessive aliasing",
    ),
    "an anchor in itself": ("kind: Pod\na: &a [*a]\n", "line 2: anchor 'a' value contains itself"),
    "flow in flow": ("kind: Pod\na: " + "[" * 5_000, "nested too deeply"),
    "block in block": ("kind: Pod\n" + "\n".join(" " * n + "a:" for n in range(1000)), "nested too deeply"),
    "JSON in JSON": ('{"kind":"Pod","a":' + "[" * 300 + "]" * 300 + "}", "nested too deeply"),
    "JSON that is deeper than we can read": (
        '{"kind":"Pod","a":' + "[" * 9_000 + "]" * 9_000 + "}",
        "nested too deeply",
    ),
    "lists in lists": ("[" * 15 + '{"kind": "Pod"}' + "]" * 15, "lists within lists"),
    "many directives": ("%TAG !a! tag:a\n" * 30_000 + "--- {kind: Pod}\n", "line"),
    "zeros": ("\0" * 10_000, "no form that is read|control characters"),
    "UTF-16": ("\ufeffkind: Pod\n".encode("utf-16-le"), "no UTF-8 text, it is UTF-16"),
}


@pytest.mark.parametrize(("text", "why"), BOMBS.values(), ids=BOMBS.keys())
def test_dump_3_what_would_grow_in_memory_or_never_end_is_refused_at_once(
    tmp_path: Path, text: str | bytes, why: str
) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with at_most(2.0):
        with pytest.raises(DumpFileError, match=why) as refused:
            list(read_dumps([str(file)]))
        with pytest.raises(DumpFileError, match=why):
            list(read_dumps([str(tmp_path)]))
    assert str(file) in refused.value.message


def test_dump_3_too_many_values_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvbinder.sources.texts.NODES_MAX", 50)
    for name, text in (("a.json", json.dumps({**POD, "x": [0] * 60})), ("a.yaml", "kind: Pod\nx:\n" + "- 0\n" * 60)):
        (tmp_path / name).write_text(text)
        with pytest.raises(DumpFileError, match="too many values"):
            list(read_dumps([str(tmp_path / name)]))


def test_dump_3_aliases_as_programs_write_them_are_read(tmp_path: Path) -> None:
    text = "kind: List\nitems:\n- &a {kind: Pod, metadata: {name: web}}\n" + "- *a\n" * 20_000
    (tmp_path / "a.yaml").write_text(text)
    assert len(list(read_dumps([str(tmp_path / "a.yaml")]))) == 20_001


def test_dump_3_an_object_as_deep_as_the_server_takes_is_read_from_a_list(tmp_path: Path) -> None:
    deep = {"kind": "Pod", "x": json.loads("[" * 198 + "]" * 198)}
    for document in (deep, {"kind": "List", "items": [{"kind": "List", "items": [deep]}]}):
        for name in ("a.json", "a.yaml"):
            (tmp_path / name).write_text(" " * (name == "a.yaml") + json.dumps(document))
            assert list(read_dumps([str(tmp_path / name)])) == [deep]


@pytest.mark.parametrize("items", [5, "words", {"kind": "Pod"}, True])
@pytest.mark.parametrize("kind", ["List", "PodList"])
def test_dump_2_a_list_whose_items_are_none_is_named(tmp_path: Path, kind: str, items: object) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"kind": kind, "items": items}))
    with pytest.raises(DumpError, match=r"a\.json has something that is no Kubernetes object"):
        list(read_dumps([str(tmp_path / "a.json")]))


def test_dump_1_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    for name, text in (("a.yaml", "kind: Pod\nmetadata: {name: web}\n"), ("a.json", json.dumps(POD))):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert next(read_dumps([str(tmp_path / name)]))["metadata"] == {"name": "web"}


HEXADECIMAL = st.uuids().map(str) | st.from_regex(
    r"[-+]?[0-9a-f]{1,9}(-[0-9]{0,4}[eE_.+-][0-9a-f]{0,4}){0,2}", fullmatch=True
)


@given(text=HEXADECIMAL)
@example(text="4583889e-244f-4d05-9a4c-1b9f0e3f4b7a")
@example(text="12345678e-1234")
def test_dump_4_plain_text_with_digits_is_text_or_a_number_and_never_an_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.mktemp("plain") / "a.yaml"
    file.write_text(f"kind: Pod\nmetadata:\n  uid: {text}\n  name: {uuid.UUID(int=0)}\n")
    (pod,) = read_dumps([str(file)])
    assert pod["metadata"]["uid"] == text or isinstance(pod["metadata"]["uid"], int | float)
    assert pod["metadata"]["name"] == str(uuid.UUID(int=0))


@given(uid=st.uuids())
def test_dump_4_every_uid_is_text(tmp_path_factory: pytest.TempPathFactory, uid: uuid.UUID) -> None:
    file = tmp_path_factory.mktemp("plain") / "a.yaml"
    file.write_text(f"kind: Pod\nmetadata: {{uid: {uid}}}\n")
    (pod,) = read_dumps([str(file)])
    assert pod["metadata"]["uid"] == str(uid)


def test_dump_5_what_is_no_file_is_refused_in_a_directory_and_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    for path in (tmp_path, tmp_path / "a.yaml"):
        for attempt in (lambda path=path: list(read_dumps([str(path)])), lambda path=path: check_dump(str(path))):
            with pytest.raises(DumpFileError, match=r"a\.yaml can't be read: it is a pipe, not a file"):
                attempt()


def test_dump_5_a_pipe_of_the_shell_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, json.dumps(POD).encode())
    os.close(writing)
    try:
        assert list(read_dumps([f"/dev/fd/{reading}"])) == [POD]
    finally:
        os.close(reading)


ODD_TEXTS = [
    "4583889e-244f-4d05-9a4c-1b9f0e3f4b7a",
    "12e03",
    "1e-9",
    "0x1f",
    "0o17",
    "010",
    "1_000",
    "1:20",
    "2026-01-01",
    "~",
    "null",
    "yes",
    "No",
    "on",
    "=",
    "<<",
    ".inf",
    ".5",
    "+1",
    "-",
    "#",
    "!x",
    "*a",
    "&a",
    "2026-01-01T00:00:00Z",
    "'",
    '"',
    "%",
    "@",
    "`",
    "{}",
    "[]",
    "?",
    "|",
    ">",
    "\\n",
    "a:",
    "[a",
    "a,b",
    ",",
]
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=24) | st.sampled_from(
    [*ODD_TEXTS, "", " a", "a ", "- a", "a: b", "? a", "a\nb", "a\n\nb\n", "\n"]
)


@pytest.mark.kubectl
@pytest.mark.slow
def test_dump_4_what_kubectl_writes_we_read(tmp_path: Path) -> None:
    """Texts of all kinds, written as YAML by kubectl itself, come back as they were."""
    texts = sorted(set(_examples(TEXTS | HEXADECIMAL, 1500)))
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"c{number}",
                "uid": str(uuid.UUID(int=number << 96 | 0x4583889E244F)),
                "annotations": {"a": text},
            },
            "data": {"text": text, "more": f"{text} {text}"},
        }
        for number, text in enumerate(texts)
    ]
    (tmp_path / "in.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    command = ["kubectl", "annotate", "--local", "-f", str(tmp_path / "in.json"), "-o", "yaml", "b=c"]
    written = subprocess.run(
        command, capture_output=True, check=True, timeout=120, env={**os.environ, "KUBECONFIG": ""}
    )
    (tmp_path / "out.yaml").write_bytes(written.stdout)
    found = list(read_dumps([str(tmp_path / "out.yaml")]))
    assert [each["data"] for each in found] == [each["data"] for each in objects]
    assert [each["metadata"]["uid"] for each in found] == [each["metadata"]["uid"] for each in objects]
    assert [each["metadata"]["annotations"] for each in found] == [{"a": text, "b": "c"} for text in texts]


def _examples(strategy: st.SearchStrategy[str], count: int) -> list[str]:
    found: list[str] = []

    @settings(max_examples=count, deadline=None)
    @given(text=strategy)
    def collect(text: str) -> None:
        found.append(text)

    collect()
    return found
