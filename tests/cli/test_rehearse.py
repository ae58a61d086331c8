"""`pvbinder rehearse` as it is typed: steps, scripts, forms, exit codes, mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_plan import SHOP, file_of
from tests.foresight.worlds import claim, volume

from pvbinder.cli.main import run


@pytest.fixture
def dump(tmp_path: Path) -> str:
    return file_of(tmp_path / "dump.json", SHOP, volume("disk-7"), claim("a"), claim("b"))


def test_rehearse_command_1_the_exit_code_says_whether_somebody_must_act(
    dump: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = file_of(tmp_path / "more.json", volume("disk-9"))

    assert run(["rehearse", "-f", dump, "--do", f"apply -f {more}"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1 claim and 1 volume changed after 1")
    assert "Nobody must act any more\n  PersistentVolumeClaim shop/b" in told
    assert run(["rehearse", "-f", dump, "--do", "delete pv/disk-7", "-o", "markdown"]) == 1
    assert "| volume | disk-7 | Bound shop/a | Terminating shop/a |" in capsys.readouterr().out


def test_rehearse_command_1_mistakes_are_told(dump: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rehearse", "-f", dump, "--do", "reboot node/w1"]) == 2
    assert "a step is one of" in capsys.readouterr().err
    assert run(["rehearse", "-f", dump, "--do", "lose node/w1"]) == 2
    assert "there is no node 'w1'" in capsys.readouterr().err
    assert run(["rehearse", "-f", dump]) == 2
    assert run(["rehearse", "-f", dump, "--script", str(tmp_path / "none")]) == 2
    assert run(["rehearse", "-f", dump, "--do", "apply -f nowhere.yaml"]) == 2
    assert run(["rehearse", "-f", dump, "--do", "wait 1s", "--context", "prod"]) == 2
    assert run(["rehearse", "-f", "-", "--do", "apply -f -"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_rehearse_command_2_steps_of_scripts_come_last(
    dump: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "friday.txt"
    script.write_text("# then\nwait 1h\n")

    assert run(["rehearse", "-f", dump, "--script", str(script), "--do", "delete pvc/b -n shop", "-o", "json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["version"]) == ("Rehearsal", 1)
    assert [step["step"] for step in told["steps"]] == ["delete pvc/b -n shop", "wait 1h"]
    assert told["seconds"] >= 3600
