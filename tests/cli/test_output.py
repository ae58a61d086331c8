"""The outputs of commands, when texts of objects, files and servers would command a terminal."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from rich.console import Console

import pvbinder.cli
from pvbinder import logs
from pvbinder.cli import output
from pvbinder.cli.board import Board
from pvbinder.cli.live import Lines, TerminalBoard
from pvbinder.cli.main import explain_failure, run
from pvbinder.insight.export import write_dump
from pvbinder.kube.config import load_kubeconfig
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import parse_claim, parse_volume

# The title of the window, the clipboard, colours, C1 controls, reading turned around, no width, new lines, markup.
HOSTILE = (
    "\x1b]0;owned\x07\x1b]52;c;cm0gLXJm\x07\x1b[31mred\x1b[2J\x9b31m\x9d0;x\x9c\x7f\r\n\u202eevil\u2066\u200b\u2028\x85\x08"
    "[red]markup[/red] [link=http://x]l[/link]\ud800"
)
IN_JSON = HOSTILE.replace("\ud800", "")  # which no JSON has


def assert_harmless(text: str) -> None:
    bad = {c for c in text if c != "\n" and not c.isprintable()}
    assert not bad, f"{bad!r} in {text!r}"


def object_of(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": IN_JSON, "labels": {IN_JSON: IN_JSON}, "annotations": {IN_JSON: IN_JSON}}
    return {"apiVersion": "v1", "kind": kind, "metadata": {**metadata, "finalizers": [IN_JSON]}, **fields}


def hostile_objects() -> list[dict[str, Any]]:
    claim = object_of(
        "PersistentVolumeClaim",
        "orders",
        spec={
            "accessModes": [IN_JSON],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": IN_JSON,
            "selector": {"matchLabels": {IN_JSON: IN_JSON}},
            "volumeMode": IN_JSON,
        },
        status={"phase": "Pending"},
    )
    claim["metadata"]["namespace"] = "shop"
    volume = object_of(
        "PersistentVolume",
        f"disk{IN_JSON}",
        spec={
            "capacity": {"storage": "2Gi"},
            "accessModes": [IN_JSON],
            "storageClassName": IN_JSON,
            "claimRef": {"namespace": IN_JSON, "name": IN_JSON},
            "hostPath": {"path": IN_JSON},
        },
        status={"phase": IN_JSON, "message": IN_JSON},
    )
    storage_class = object_of("StorageClass", IN_JSON, provisioner=IN_JSON, volumeBindingMode=IN_JSON)
    storage_class["apiVersion"] = "storage.k8s.io/v1"
    pod = object_of(
        "Pod",
        "web",
        spec={
            "nodeName": IN_JSON,
            "volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "orders"}}],
            "containers": [{"name": "c", "image": "i"}],
        },
        status={
            "phase": IN_JSON,
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": IN_JSON, "message": IN_JSON}],
        },
    )
    pod["metadata"]["namespace"] = "shop"
    event = object_of(
        "Event",
        "orders.1",
        type=IN_JSON,
        reason=IN_JSON,
        message=IN_JSON,
        count=3,
        involvedObject={"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "orders", "uid": IN_JSON},
    )
    event["metadata"]["namespace"] = "shop"
    broken = object_of("PersistentVolume", IN_JSON, spec={"capacity": {"storage": IN_JSON}})
    return [claim, volume, storage_class, pod, event, broken]


@pytest.fixture
def dump(tmp_path: Path) -> str:
    (tmp_path / "dump.json").write_text(json.dumps({"kind": "List", "items": hostile_objects()}))
    return str(tmp_path / "dump.json")


@pytest.mark.parametrize("target", ["pvc/orders", "pod/web"])
def test_output_1_explain_shows_nothing_that_commands_a_terminal(
    dump: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["explain", target, "-n", "shop", "-f", dump, "--all-volumes"])
    shown = capsys.readouterr()
    assert_harmless(shown.out + shown.err)
    assert r"\x1b]0;owned\x07" in shown.out
    # No text of an object begins a line of its own.
    assert not any(line.startswith("\\u202eevil") for line in shown.out.split("\n"))


@pytest.mark.parametrize("target", ["pvc/orders", "pod/web"])
def test_output_1_the_json_of_explain_means_the_same_and_is_harmless(
    dump: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["explain", target, "-n", "shop", "-f", dump, "-o", "json"])
    shown = capsys.readouterr()
    assert_harmless(shown.out)
    assert IN_JSON in str(list(_texts(json.loads(shown.out)))) or IN_JSON in list(_texts(json.loads(shown.out)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


MISTAKES = {  # what is hostile: the command
    "the name of a claim": ["explain", "pvc", HOSTILE],
    "the kind of what is asked for": ["explain", HOSTILE, "x"],
    "the name of a file": ["explain", "pvc/x", "-f", HOSTILE],
    "the name of a kubeconfig": ["explain", "pvc/x", "--kubeconfig", HOSTILE],
    "an option": [f"--{HOSTILE}"],
    "a command": [HOSTILE],
    "an address of a dump": ["up", "--load", HOSTILE],
    "a data directory": ["export", "--data-dir", HOSTILE],
    "a value of a flag": ["up", "--sync-period", HOSTILE],
    "a port": ["up", "--port", HOSTILE],
    "the name of a controller": ["controller", "--controllers", HOSTILE, "--kubeconfig", "/dev/null"],
    "a data directory to recover": ["recover", "--data-dir", HOSTILE],
}


@pytest.mark.parametrize("arguments", MISTAKES.values(), ids=MISTAKES.keys())
def test_output_1_mistakes_are_told_without_commanding_a_terminal(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run([word.replace("\ud800", "") for word in arguments])
    shown = capsys.readouterr()
    assert "error: " in shown.err or shown.out
    assert_harmless(shown.out + shown.err)


def test_output_1_the_contexts_of_a_kubeconfig_are_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contexts = [{"name": IN_JSON, "context": {"cluster": IN_JSON, "user": IN_JSON}}]
    (tmp_path / "config").write_text(json.dumps({"contexts": contexts, "current-context": IN_JSON}))
    for wanted in (IN_JSON, "other"):
        with pytest.raises(PvbinderError) as raised:
            load_kubeconfig([tmp_path / "config"], wanted)
        explain_failure(raised.value)
    assert_harmless(capsys.readouterr().err)


@pytest.mark.parametrize("error", [PvbinderError(HOSTILE, hint=HOSTILE), ValueError(HOSTILE)], ids=["ours", "a bug"])
def test_output_1_errors_are_harmless(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise error
    except Exception as raised:
        explain_failure(raised)
    shown = capsys.readouterr().err
    assert_harmless(shown)
    assert "owned" in shown


def test_output_1_lines_notes_and_json_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(HOSTILE)
    output.note(HOSTILE)
    output.say_json(json.dumps(IN_JSON, ensure_ascii=False))
    shown = capsys.readouterr()
    assert_harmless(shown.out + shown.err)
    assert shown.err.count("\n") == 1
    assert json.loads(shown.out[shown.out.index('"') :]) == IN_JSON


@pytest.mark.parametrize("kind", ["screen", "lines"])
def test_output_1_the_live_view_is_harmless(kind: str) -> None:
    claim, volume, *_ = hostile_objects()
    bound = {**claim, "spec": {**claim["spec"], "volumeName": volume["metadata"]["name"]}, "status": {"phase": "Bound"}}
    now = [0.0]
    board = Board(lambda: now[0])
    settled = asyncio.Event()
    settled.set()
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=False, width=200, height=50, highlight=False)
    view = (TerminalBoard if kind == "screen" else Lines)(
        console,
        board,
        title=f"at {HOSTILE}",
        go_on=lambda board: [HOSTILE, f"{HOSTILE}    # {HOSTILE}"],
        may_settle=settled,
    )
    with view:
        for each in (claim, bound):
            view.show(board.see_claim(parse_claim(msgspec.json.encode(each))))
        view.show(board.see_volume(parse_volume(msgspec.json.encode(volume))))
        view.show(board.see_event("shop/orders", HOSTILE, HOSTILE, HOSTILE))
        for number in range(60):  # so that some are only counted
            many = {**volume, "metadata": {**volume["metadata"], "name": f"{number}{IN_JSON}"}}
            view.show(board.see_volume(parse_volume(msgspec.json.encode(many))))
        now[0] = 100.0
        view.show(None)
    assert_harmless(stream.getvalue())
    assert "owned" in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_output_1_log_lines_are_harmless(form: Any) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter() if form == "json" else logs.TextFormatter())
    logger = logging.getLogger("tests.hostile")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        raise ValueError(IN_JSON)
    except ValueError:
        logs.get("tests.hostile").exception(IN_JSON, pvc=IN_JSON, **{IN_JSON: IN_JSON})
    finally:
        logger.removeHandler(handler)
    assert_harmless(stream.getvalue())
    if form == "json":
        assert json.loads(stream.getvalue())["pvc"] == IN_JSON
        assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_export_5_an_export_is_harmless_and_means_the_same(form: Any) -> None:
    objects = [*hostile_objects(), {"kind": "ConfigMap", "data": {"text": "Zoë\n\ttab\n"}}]
    stream = io.StringIO()
    write_dump(objects, stream, form)
    assert_harmless(stream.getvalue())
    assert yaml.safe_load(stream.getvalue())["items"] == objects if form == "yaml" else True
    assert form == "yaml" or json.loads(stream.getvalue())["items"] == objects


def test_output_2_nobody_else_writes() -> None:
    """By the syntax trees: no `print`, no `click.echo`, no `sys.stdout.write` but in `output`."""
    places = []
    for file in Path(pvbinder.cli.__file__).parent.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("print", "click.echo", "click.secho", "traceback.print_exc", "traceback.print_exception"):
                    places.append((file.name, called))
                if called in ("sys.stdout.write", "sys.stderr.write"):
                    places.append((file.name, called))
    assert {name for name, _ in places} == {"output.py"}
