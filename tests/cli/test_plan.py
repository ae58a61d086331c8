"""`pvbinder plan` as it is typed: its forms, its exit codes, its mistakes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.foresight.worlds import claim, volume

from pvbinder.cli.main import run
from pvbinder.model.json import Json

SHOP: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def file_of(path: Path, *documents: Json) -> str:
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
    return str(path)


@pytest.fixture
def dump(tmp_path: Path) -> str:
    return file_of(tmp_path / "dump.json", SHOP, volume("disk-7"), volume("disk-9", "20Gi"))


def test_plan_command_1_the_exit_code_gates(
    dump: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    good, bad = file_of(tmp_path / "good", claim("a")), file_of(tmp_path / "bad", claim("a"), claim("b", "1Ti"))

    assert run(["plan", "-f", good, "--against", dump]) == 0
    assert capsys.readouterr().out.startswith("1 claim: 1 gets storage\n")
    assert run(["plan", "-f", bad, "--against", dump]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("2 claims: 1 gets storage, 1 gets nothing\n\nWhat each claim gets\n  CLAIM   GETS")
    assert "disk-9: fits, too, and is larger: 20Gi, not 10Gi" in told.out
    assert "[FM-3]" in told.out
    assert told.err == ""
    assert run(["plan", "-f", str(tmp_path / "none.yaml"), "--against", dump]) == 2


def test_plan_command_1_json_is_a_versioned_form(dump: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = file_of(tmp_path / "new", claim("a"))

    assert run(["plan", "-f", new, "--against", dump, "-o", "json", "--order-independent"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["version"]) == ("Plan", 1)
    assert told["claims"][0]["volume"] == "disk-7"
    assert told["claims"][0]["runnerUp"]["volume"] == "disk-9"
    assert told["orders"] == {"tried": 1, "complete": True, "first": [], "second": [], "changed": []}


def test_plan_command_1_pipelines_get_their_reports(
    dump: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.yaml"
    new.write_text("---\n".join(f"# a manifest\n{json.dumps(one)}\n" for one in (claim("a"), claim("b", "1Ti"))))

    assert run(["plan", "-f", str(new), "--against", dump, "-o", "junit"]) == 1
    assert 'tests="2" failures="1"' in capsys.readouterr().out
    assert run(["plan", "-f", str(new), "--against", dump, "-o", "sarif"]) == 1
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    where = result["locations"][0]["physicalLocation"]
    assert where == {"artifactLocation": {"uri": str(new)}, "region": {"startLine": 5}}


def test_plan_command_1_another_order_is_a_no(dump: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = file_of(tmp_path / "new", claim("a"), claim("b"))

    assert run(["plan", "-f", new, "--against", dump, "--order-independent", "-o", "markdown"]) == 1

    told = capsys.readouterr().out
    assert told.startswith("### 2 claims: 2 get storage\n")
    assert "- shop/a gets volume disk-7 in the first, volume disk-9 in the second" in told


def test_plan_command_2_a_dump_among_the_files_is_the_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = [SHOP, volume("disk-7")]
    for number, one in enumerate(stored):
        known = {"uid": f"00000000-0000-4000-8000-{number:012d}", "resourceVersion": str(number + 1)}
        one["metadata"] = {**one["metadata"], **known}
    dump = file_of(tmp_path / "dump.json", *stored)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(claim("a")).encode())))

    assert run(["plan", "-f", "-", "-f", dump]) == 0
    assert "volume disk-7" in capsys.readouterr().out

    assert run(["plan", "-f", dump]) == 2
    assert "no new manifests" in capsys.readouterr().err
    mixed = file_of(tmp_path / "mixed.json", stored[1], claim("a"))
    assert run(["plan", "-f", mixed]) == 2
    assert "both" in capsys.readouterr().err


def test_plan_command_3_without_a_state_the_cluster_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = file_of(tmp_path / "new", claim("a"))

    assert run(["plan", "-f", new, "--kubeconfig", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err
    assert run(["plan", "-f", new, "--against", new, "--context", "prod"]) == 2
    assert run(["plan", "-f", "-", "-f", "-"]) == 2
