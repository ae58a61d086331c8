"""The language of --do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pvbinder.foresight.steps import (
    ApplyStep,
    DeleteStep,
    DrainStep,
    LoseStep,
    RehearsalStep,
    RestoreStep,
    ScaleStep,
    StepError,
    WaitStep,
    parse_step,
    steps_in,
)

STEPS: dict[str, RehearsalStep] = {
    "drain node/w3": DrainStep("w3"),
    "drain w3": DrainStep("w3"),
    "lose node/w1": LoseStep(node="w1"),
    "lose zone=b": LoseStep(label="topology.kubernetes.io/zone", value="b"),
    "lose rack=7": LoseStep(label="rack", value="7"),
    "delete storageclass/fast": DeleteStep("storageclass", "fast", "default"),
    "delete pvc/data -n shop": DeleteStep("pvc", "data", "shop"),
    "apply -f 'x y.yaml'": ApplyStep(("x y.yaml",), "default"),
    "scale statefulset/db=5 -n shop": ScaleStep("statefulset", "db", 5, "shop"),
    "restore backup.tar.gz": RestoreStep(("backup.tar.gz",)),
    "wait 1h": WaitStep(3600.0),
    "wait 2d": WaitStep(172_800.0),
}
WRONG = {
    "nothing": "",
    "another verb": "reboot node/w1",
    "a node without a name": "drain node/",
    "another kind of thing to drain": "drain pod/a",
    "no number": "scale sts/db=many",
    "too many replicas": "scale sts/db=99999999",
    "a duration that is none": "wait soon",
    "a time that is over": "wait -1h",
    "an eternity": "wait 400d",
    "an open quote": "apply -f 'x",
    "an unknown flag": "delete pvc/a --now",
}


@pytest.mark.parametrize(("text", "step"), STEPS.items(), ids=STEPS.keys())
def test_steps_1_a_text_is_a_step(text: str, step: RehearsalStep) -> None:
    assert parse_step(text) == step


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_steps_1_anything_else_is_refused(text: str) -> None:
    with pytest.raises(StepError):
        parse_step(text)


def test_steps_2_a_script_has_a_step_a_line(tmp_path: Path) -> None:
    script = tmp_path / "friday.txt"
    script.write_text("# the week-end\n\nlose zone=b\n  wait 1h\n")

    assert [step for _, step in steps_in(script)] == [parse_step("lose zone=b"), WaitStep(3600.0)]


def test_steps_2_a_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    script = tmp_path / "friday.txt"
    script.write_text("wait 1h\nloose zone=b\n")

    with pytest.raises(StepError, match="line 2"):
        list(steps_in(script))
