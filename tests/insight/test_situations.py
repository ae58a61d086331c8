"""What people have asked, and whether they get the right verdict, exit code and advice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.insight.situation import Situation
from tests.insight.situations import SITUATIONS

from pvbinder.cli.main import run


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_the_right_answer(situation: Situation, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump = tmp_path / "dump.json"
    dump.write_text(json.dumps({"kind": "List", "items": situation.documents}))
    words = ["explain", situation.target, "-n", "shop", "-f", str(dump)]

    code = run(words)
    text = capsys.readouterr().out
    run([*words, "-o", "json"])
    found = json.loads(capsys.readouterr().out)

    assert (found["reason"], code) == (situation.reason, situation.code), text
    unsaid = [part for part in situation.says if part not in text]
    assert not unsaid, text
    advice = "\n".join(found["advice"])
    unadvised = [part for part in situation.advises if part not in advice]
    assert not unadvised, text
    assert bool(advice) is (situation.code == 1), text
