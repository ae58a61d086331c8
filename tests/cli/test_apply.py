"""``--apply``: the input of kubectl, and its output."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from pvbinder.cli.apply import STANDARD_INPUT, ApplyFailed, Manifests, apply, take_manifests
from pvbinder.cli.main import run
from pvbinder.sources.errors import DumpError

KUBECTL = """#!/bin/sh
test "$1 $2" = "apply --filename" || exit 9
for file in "$3" "$3"/*; do test ! -f "$file" || { echo "$file has $(cat "$file"), is $(stat -c %F "$file")"; }; done
echo "$3 said" >&2
exit ${KUBECTL_ENDS:-0}
"""


@pytest.fixture(autouse=True)
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kubectl").write_text(KUBECTL)
    (tmp_path / "bin" / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")


async def test_apply_1_kubectl_gets_copies_and_its_words_name_the_files_of_the_user(tmp_path: Path) -> None:
    given = tmp_path / "given"
    (given / "inner").mkdir(parents=True)
    (given / "inner" / "a.yaml").write_text("kind: A")
    (given / "a.yaml").symlink_to("inner/a.yaml")
    (given / "b.json").write_text('{"kind": "B"}')
    (given / "notes.txt").write_text("not this one")

    assert (await apply(tmp_path / "kubeconfig", Manifests(given))).splitlines() == [
        f"{given} said",
        f"{given}/a.yaml has kind: A, is regular file",
        f'{given}/b.json has {{"kind": "B"}}, is regular file',
    ]
    assert f"{given}/b.json has " in await apply(tmp_path / "kubeconfig", Manifests(given / "b.json"))


async def test_apply_1_a_file_that_became_a_pipe_since_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: A")
    take_manifests([tmp_path / "a.yaml"])
    (tmp_path / "a.yaml").unlink()
    os.mkfifo(tmp_path / "a.yaml")

    with pytest.raises(DumpError, match="it is a pipe"):
        await apply(tmp_path / "kubeconfig", Manifests(tmp_path / "a.yaml"))


async def test_apply_1_a_failure_of_kubectl_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("kind: A")
    monkeypatch.setenv("KUBECTL_ENDS", "1")

    with pytest.raises(ApplyFailed) as failed:
        await apply(tmp_path / "kubeconfig", Manifests(tmp_path / "a.yaml"))

    assert failed.value.hint == f"{tmp_path}/a.yaml said"


def test_apply_2_what_cant_be_read_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: [")
    for path in (tmp_path, tmp_path / "a.yaml"):
        with pytest.raises(DumpError, match=r"a\.yaml, line"):
            take_manifests([path])


class Piped:
    """What is piped in, which can be read once."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


async def test_apply_3_standard_input_is_read_once_and_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Piped(b"kind: A"))
    (given,) = take_manifests([STANDARD_INPUT])

    for _ in range(2):
        said = await apply(tmp_path / "kubeconfig", given)
        assert said.splitlines() == ["standard input said", "standard input has kind: A, is regular file"]


def test_apply_3_standard_input_that_is_no_yaml_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Piped(b"kind: ["))
    with pytest.raises(DumpError, match="standard input, line"):
        take_manifests([STANDARD_INPUT])


@pytest.mark.parametrize(
    "command",
    [
        ["audit", "-f", "-", "-f", "-"],
        ["explain", "-A", "-f", "-", "-f", "-"],
        ["plan", "-f", "-", "--against", "-"],
        ["rehearse", "-f", "-", "--do", "apply -f -"],
        ["up", "--ephemeral", "--load", "-", "--apply", "-", "--", "true"],
    ],
    ids=lambda command: command[0],
)
def test_standard_input_is_given_once(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command) == 2
    assert "standard input can be read once only" in capsys.readouterr().err
