"""Predicted is what Kubernetes did: the recorded scenarios, up to their last act, which is foretold.

Of each scenario that only creates, deletes and looks, everything but the last act is played on a copy; then a plan or a
rehearsal of that act must say what was recorded of Kubernetes after it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml
from tests.foresight.worlds import MONDAY

from pvbinder.controllers.options import ControllerOptions
from pvbinder.foresight.acting import act
from pvbinder.foresight.applying import apply
from pvbinder.foresight.plan import plan
from pvbinder.foresight.preparing import prepare
from pvbinder.foresight.rehearsal import rehearsal, run_rehearsal
from pvbinder.foresight.rehearse import rehearse
from pvbinder.foresight.steps import DeleteStep, RehearsalStep
from pvbinder.model.json import Json

HERE = Path(__file__).resolve().parents[1] / "conformance" / "volumes"
KINDS = (
    "PersistentVolume",
    "PersistentVolumeClaim",
    "StorageClass",
    "VolumeAttributesClass",
    "Pod",
    "Node",
    "Namespace",
)
OPTIONS = ControllerOptions(
    controllers="*,-stand-in,-scheduler,-kubelet,-ephemeral-volume",
    enable_hostpath_provisioner=True,
    pvclaimbinder_sync_period=2.0,
)
STATES: TypeAlias = dict[str, tuple[str, str]]
FEWEST = 70  # scenarios that can be foretold: fewer would mean that they are skipped by mistake
EACH = int(os.environ.get("PVBINDER_RECORDED", "12"))  # one of so many scenarios; 1 plays all

pytestmark = pytest.mark.slow


def scenario_of(path: Path) -> Json | None:
    """Return the scenario, if it only creates, deletes and looks."""
    found: Json = yaml.safe_load(path.read_text())
    steps = [next(iter(step)) for step in found["steps"]]
    plain = set(steps) <= {"create", "delete", "wait", "snapshot", "sleep"}
    text = path.read_text()
    symbolic = any(mark in text for mark in ("<uid:", "$(", "expect_error", "counts", "grace", "propagation"))
    if not plain or symbolic or found.get("needs") or found.get("namespaces"):
        return None
    return found if acts(found) and "end" in golden_of(path)["snapshots"] else None


def golden_of(path: Path) -> Json:
    found: Json = yaml.safe_load((HERE / "golden" / path.name).read_text())
    return found


def acts(scenario: Json) -> list[tuple[str, Any]]:
    """Return what is done in the scenario, in order."""
    return [next(iter(step.items())) for step in scenario["steps"] if next(iter(step)) in ("create", "delete")]


def objects(argument: Any) -> list[tuple[str, Json]]:
    return [("the scenario", one) for one in (argument if isinstance(argument, list) else [argument])]


def step_of(argument: Json) -> RehearsalStep:
    return DeleteStep(argument["kind"].lower(), argument["name"], argument.get("namespace", "ns"))


async def played(scenario: Json) -> list[Json]:
    """Return the objects after everything but the last act."""
    begun = prepare([("t", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}})], read_at=MONDAY)
    async with rehearsal(begun, OPTIONS) as copy:
        for name, argument in acts(scenario)[:-1]:
            if name == "create":
                await apply(copy, objects(argument), namespace="ns")
            else:
                await act(copy, step_of(argument), lambda _: [])
            await copy.settle()
        return copy.documents(KINDS)


def states_of(copy_after: list[Json]) -> STATES:
    """Return phase and partner of each claim and volume, as the golden files name them."""
    found: STATES = {}
    for one in copy_after:
        name, spec, status = one["metadata"]["name"], one.get("spec") or {}, one.get("status") or {}
        if one["kind"] == "PersistentVolumeClaim":
            phase = "Terminating" if one["metadata"].get("deletionTimestamp") else status.get("phase", "")
            found[f"pvc/{name}"] = (phase, _volume(spec.get("volumeName") or ""))
        elif one["kind"] == "PersistentVolume":
            reference = spec.get("claimRef") or {}
            found[f"pv/{_volume(name)}"] = (status.get("phase", ""), reference.get("name", ""))
    return found


def _volume(name: str) -> str:
    return "made" if name.startswith("pvc-") else name


def recorded(golden: Json) -> STATES:
    end = golden["snapshots"]["end"]
    kinds = {"volumes": "PersistentVolume", "claims": "PersistentVolumeClaim"}
    found = []
    for section, kind in kinds.items():
        for name, one in (end.get(section) or {}).items():
            found.append({**one, "kind": kind, "metadata": {**(one.get("metadata") or {}), "name": name}})
    return states_of(found)


def foretold(scenario: Json) -> STATES:
    """Return what a plan or a rehearsal says of the last act."""
    before = run_rehearsal(lambda: played(scenario))
    copy = prepare([("dump", one) for one in before], read_at=MONDAY)
    found = states_of(before)
    name, argument = acts(scenario)[-1]
    if name == "create":
        answer = plan(copy, objects(argument), namespace="ns", options=OPTIONS)
        for one in answer.claims:
            found[f"pvc/{one.claim.partition('/')[2]}"] = (one.phase, _volume(one.volume))
        changed = answer.others
    else:
        changed = rehearse(copy, [("delete", step_of(argument))], lambda _: [], options=OPTIONS).differences
    for each in changed:
        kind = {"PersistentVolumeClaim": "pvc", "PersistentVolume": "pv"}.get(each.kind)
        key = f"{kind}/{_volume(each.name.rpartition('/')[2])}"
        if kind and each.after is None:
            found.pop(key, None)
        elif kind and each.after is not None:
            partner = each.after.partner.rpartition("/")[2]
            found[key] = (each.after.phase, _volume(partner) if kind == "pvc" else partner)
    return found


SCENARIOS = {path.stem: found for path in sorted((HERE / "scenarios").glob("*.yaml")) if (found := scenario_of(path))}


def test_most_scenarios_can_be_foretold() -> None:
    assert len(SCENARIOS) >= FEWEST


@pytest.mark.parametrize("name", list(SCENARIOS)[::EACH])
def test_what_is_foretold_is_what_kubernetes_did(name: str) -> None:
    golden = recorded(golden_of(Path(f"{name}.yaml")))
    found = foretold(SCENARIOS[name])

    claims = {key: value for key, value in golden.items() if key.startswith("pvc/")}
    assert {key: value for key, value in found.items() if key.startswith("pvc/")} == claims
