"""Explain agrees with what the controllers of Kubernetes did, in every end state of the recorded scenarios."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pvbinder.insight.claims import explain_claim
from pvbinder.insight.explanation import ClaimExplanation
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.objects import claim_key
from pvbinder.rules.settings import Settings
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

RECORDED = Path(__file__).parent.parent / "conformance" / "volumes"
KEPT_BY_STEPS = ("StorageClass", "Node")  # golden states show these only where a controller changed them

# What an event of the binder says about a claim that is still Pending, as explain's reason codes.
REASONS_OF_EVENTS = {
    "FailedBinding (persistentvolume-controller): no persistent volumes available": {"NoVolumeFits"},
    "FailedBinding (persistentvolume-controller): volume ": {"NamedVolumeTaken"},
    "WaitForFirstConsumer (": {"WaitsForFirstConsumer"},
    "WaitForPodScheduled (": {"WaitsForPodToBeScheduled"},
    "ExternalProvisioning (": {"WaitsForExternalProvisioner", "ProvisioningFails"},
    "ProvisioningFailed (persistentvolume-controller): storageclass.storage.k8s.io": {"ClassMissing"},
    "ProvisioningFailed (persistentvolume-controller): no volume plugin": {"NothingProvisions"},
    "ProvisioningFailed (": {"ProvisioningFails", "ClassMissing", "NothingProvisions"},
    "VolumeMismatch (persistentvolume-controller): Cannot bind PersistentVolume ": {"VolumeModeMismatch"},
    "VolumeMismatch (persistentvolume-controller): Cannot bind to requested": {"NamedVolumeUnsuitable"},
}
LOST = {"LostReference", "LostVolume", "Misbound"}


def end_states() -> Iterator[Any]:
    for path in sorted((RECORDED / "scenarios").glob("*.yaml")):
        scenario = yaml.safe_load(path.read_text())
        golden = yaml.safe_load((RECORDED / "golden" / path.name).read_text())
        kept: dict[tuple[str, str], Any] = {}
        for step in scenario["steps"]:
            _follow(step, kept)
            shown = step.get("snapshot")
            if isinstance(shown, str) and shown in golden["snapshots"]:
                state = golden["snapshots"][shown]
                disabled = "no-provisioning" in scenario.get("needs", [])
                yield pytest.param(copy.deepcopy(kept), state, disabled, id=f"{path.stem}-{shown}")


def _follow(step: dict[str, Any], kept: dict[tuple[str, str], Any]) -> None:
    created = step.get("create") or step.get("replace") or []
    for obj in created if isinstance(created, list) else [created]:
        kind, name = obj["kind"], obj["metadata"]["name"]
        if "expect_error" in step:
            continue
        if kind in KEPT_BY_STEPS:
            kept[kind, name] = obj
        elif "create" in step:
            namespace = obj["metadata"].get("namespace")
            label = f"{namespace}/{name}" if namespace else name
            kept[f"times {kind}", label] = kept.get((f"times {kind}", label), 0) + 1
    gone = step.get("delete") or {}
    kept.pop((gone.get("kind", ""), gone.get("name", "")), None)


def snapshot_of(kept: dict[tuple[str, str], Any], state: dict[str, Any], *, disabled: bool) -> Snapshot:
    documents = [{"metadata": {}, **copy.deepcopy(obj)} for (kind, _), obj in kept.items() if kind in KEPT_BY_STEPS]
    for obj in documents:
        if obj["kind"] == "StorageClass":
            obj.setdefault("volumeBindingMode", "Immediate")
            obj["metadata"].setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
    for section, kind in (("volumes", "PersistentVolume"), ("claims", "PersistentVolumeClaim"), ("pods", "Pod")):
        for label, obj in (state.get(section) or {}).items():
            namespace, _, name = ("", "", label) if section == "volumes" else label.rpartition("/")
            document = {"kind": kind, **copy.deepcopy(obj)}
            document["metadata"] = {
                **document.get("metadata", {}),
                "name": name,
                "namespace": namespace or "ns",
                "uid": _uid(kind, label, kept),
            }
            documents.append(document)
    for name, lines in (state.get("events") or {}).items():
        kind_, _, label = name.partition("/")
        if kind_ == "pvc":
            documents += [_event(label, line) for line in lines]
    plugins = load_catalogue(in_tree_plugins(), installed=())
    snapshot = Snapshot(documents, plugins=plugins, settings=Settings(dynamic_provisioning=not disabled))
    assert not snapshot.unreadable
    return snapshot


def _uid(kind: str, label: str, kept: dict[tuple[str, str], Any]) -> str:
    """The symbol of the object's uid: that of the last object with this name."""
    short = {"PersistentVolumeClaim": "pvc", "Pod": "pod", "PersistentVolume": "pv"}[kind]
    count = kept.get((f"times {kind}", label), 1)
    return f"<uid:{short}/{label}#{count}>" if count > 1 else f"<uid:{short}/{label}>"


def _event(label: str, line: str) -> dict[str, Any]:
    type_, reason, message = re.fullmatch(r"(\S+) (\S+) \([^)]*\): (.*)", line, re.S).groups()  # type: ignore[union-attr]
    about = {"kind": "PersistentVolumeClaim", "namespace": "ns", "name": label}
    return {"kind": "Event", "involvedObject": about, "type": type_, "reason": reason, "message": message}


@pytest.mark.parametrize(("kept", "state", "disabled"), list(end_states()))
def test_explain_agrees_with_what_the_controllers_did(
    kept: dict[tuple[str, str], Any], state: dict[str, Any], disabled: bool
) -> None:
    snapshot = snapshot_of(kept, state, disabled=disabled)
    for label, claim in (state.get("claims") or {}).items():
        namespace, _, name = label.rpartition("/")
        found = snapshot.claim(claim_key(namespace or "ns", name))
        assert found is not None
        explanation = explain_claim(found, snapshot)
        _agree(explanation, claim, state, (state.get("events") or {}).get(f"pvc/{label}", []))


def _fine_or_not(volume: str, claim: dict[str, Any], state: dict[str, Any]) -> set[str]:
    """What may be said of a bound claim: there is nothing left to do, unless its volume is going or nobody grows it."""
    if "deletionTimestamp" in state["volumes"][volume]["metadata"]:
        return {"VolumeIsGoing"}
    grows = claim["spec"]["resources"]["requests"] != claim["status"].get("capacity")
    return {"Bound", "NobodyGrows"} if grows and "csi" not in state["volumes"][volume]["spec"] else {"Bound"}


def _agree(explanation: ClaimExplanation, claim: dict[str, Any], state: dict[str, Any], events: list[str]) -> None:
    if "deletionTimestamp" in claim["metadata"]:
        assert explanation.reason in {"ProtectedByPod", "HeldByFinalizers"}
        assert explanation.needs_action
        return
    match claim["status"]["phase"]:
        case "Bound":
            assert explanation.reason in _fine_or_not(explanation.volume, claim, state)
            assert explanation.needs_action is (explanation.reason != "Bound")
            assert explanation.volume == claim["spec"]["volumeName"]
        case "Lost":
            assert explanation.reason in LOST
            assert explanation.needs_action
        case "Pending":
            assert explanation.verdict != "Bound"
            assert explanation.reason not in LOST | {"WillBind"}, "nothing is left to do, or it would have been done"
            if events and not claim["spec"].get("volumeName"):
                allowed = _reasons(events)
                assert explanation.reason in allowed, (explanation.reason, events)


def _reasons(events: list[str]) -> set[str]:
    """The reason codes that any of the events stands for: which of them came last isn't recorded for all."""
    allowed: set[str] = set()
    for line in events:
        _, _, said = line.partition(" ")
        allowed |= next((codes for start, codes in REASONS_OF_EVENTS.items() if said.startswith(start)), set())
    return allowed
