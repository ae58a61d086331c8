"""Questions that people have asked, and the right verdict, exit code and advice for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.insight.situation import Situation
from tests.insight.situations import SITUATIONS

from pvbinder.cli.main import run

# the rule of whoever refuses, by what is found
REFUSES = {
    "PodBypassesScheduler": "DB-1",
    "SelectorNotSupported": "CP-9",
    "NoNodeInTopology": "DB-4",
    "NotEnoughStorage": "CA-3",
    "AttributesClassMissing": "CP-8",
    "DriverNotOnNode": "TP-2",
    "NoVolumeOnAnyNode": "FM-16",
    "NobodyGrows": "EX-6",
    "GrowthFails": "RS-14",
    "GrowthWaitsForPod": "RS-12",
    "NobodyModifies": "VM-1",
    "ModificationFails": "VM-9",
    "VolumeIsGoing": "PP-2",
    "VolumeUnreachable": "FM-15",
}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_the_right_answer(
    situation: Situation, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    dump = tmp_path / "dump.json"
    dump.write_text(json.dumps({"kind": "List", "items": situation.documents}))
    words = ["explain", situation.target, "-n", "shop", "-f", str(dump)]

    code = run(words)
    text = capsys.readouterr().out
    run([*words, "-o", "json"])
    found = json.loads(capsys.readouterr().out)

    assert (found["reason"], code) == (situation.reason, situation.code), text
    refuses = "VM-5" if "for later" in request.node.callspec.id else REFUSES.get(situation.reason)
    assert refuses is None or refuses in found["rules"]
    unsaid = [part for part in situation.says if part not in text]
    assert not unsaid, text
    advice = "\n".join(found["advice"])
    unadvised = [part for part in situation.advises if part not in advice]
    assert not unadvised, text
    assert bool(advice) is (situation.code == 1), text
