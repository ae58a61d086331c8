"""Explanations as text: the verdict and the next step first, then the evidence, then the way out.

REPORT-1  A sentence of the first line isn't repeated below it.
REPORT-2  Each line stays one line: control characters in names and messages are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from pvbinder.insight.explanation import ClaimExplanation, EventNote, PodExplanation, VolumeNote, VolumeReach, Wants
from pvbinder.insight.volume_groups import told
from pvbinder.insight.wording import listed, named
from pvbinder.model.access_modes import short_modes
from pvbinder.model.printable import printable

VOLUMES_SHOWN_MAX = 20
E = TypeVar("E", bound=msgspec.Struct)


def claim_report(explanation: ClaimExplanation, *, most_volumes: int | None = VOLUMES_SHOWN_MAX) -> str:
    """Return `explanation` as lines; `most_volumes` of None shows them all."""
    return "\n".join(claim_lines(only_printable(explanation), most_volumes)) + "\n"


def pod_report(explanation: PodExplanation, *, most_volumes: int | None = VOLUMES_SHOWN_MAX) -> str:
    """Return `explanation` as lines, each of its claims below."""
    return "\n".join(pod_lines(only_printable(explanation), most_volumes)) + "\n"


def pod_lines(explanation: PodExplanation, most_volumes: int | None = VOLUMES_SHOWN_MAX) -> Iterator[str]:
    """Yield the lines of a pod."""
    where = f" on node {explanation.node}" if explanation.node else ""
    yield f"pod {explanation.pod} is {explanation.phase}{where}: {explanation.summary}"
    said = explanation.summary + "".join(claim.summary for claim in explanation.claims)
    if explanation.problem and explanation.problem not in said:
        yield f"  {'kubelet' if explanation.node else 'scheduler'}: {explanation.problem}"
    for claim in explanation.claims:
        yield ""
        lines = claim_lines(claim, most_volumes, said_before=explanation.problem)
        yield from ("  " + line if line else "" for line in lines)


def only_printable(explanation: E) -> E:
    """Return the explanation with every text as one printable line, as objects may contain any characters."""
    values = _printable_values(msgspec.to_builtins(explanation))
    return msgspec.convert(values, type(explanation))


def _printable_values(value: object) -> object:
    match value:
        case str():
            return printable(value)
        case dict():
            return {key: _printable_values(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_printable_values(inner) for inner in value]
        case _:
            return value


def claim_lines(explanation: ClaimExplanation, most_volumes: int | None, *, said_before: str = "") -> Iterator[str]:
    """Yield the lines of a claim."""
    said = explanation.summary
    rules = f"   ({', '.join(explanation.rules)})" if explanation.rules else ""
    yield f"{explanation.claim} is {explanation.phase}: {said}{rules}"
    said += said_before
    yield f"  next: {explanation.next}"
    if explanation.wants is not None:
        yield f"  wants {_wanted(explanation.wants)}"
    yield from _class_line(explanation)
    yield from reach_line(explanation.volume, explanation.reach)
    if explanation.node is not None:
        there = "" if explanation.node.exists else ", which doesn't exist"
        yield f"  node {explanation.node.name} was selected{there}"
    for pod in explanation.pods:
        where = f"on node {pod.node}" if pod.node else "without a node"
        problem = f"; {pod.problem}" if pod.problem and pod.problem not in said else ""
        yield f"  pod {pod.name} uses it: {pod.phase or 'Pending'} {where}{problem}"
    yield from event_lines(explanation.events, said)
    if explanation.volumes:
        yield ""
        yield from ("  " + line for line in _table(explanation, most_volumes))
    yield from advice_lines(explanation.advice)


def event_lines(events: Sequence[EventNote], said: str) -> Iterator[str]:
    """Yield a line for each event whose message wasn't `said` already."""
    for event in events:
        if not event.message or event.message not in said:
            times = f" (x{event.count})" if event.count > 1 else ""
            yield f"  event {event.type} {event.reason}: {event.message}{times}"


def advice_lines(advice: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the advice."""
    if advice:
        yield "  Any one of these lets it go on:" if len(advice) > 1 else "  What to do:"
        yield from (f"    - {sentence}" for sentence in advice)


def _wanted(wants: Wants) -> str:
    parts = [wants.storage, short_modes(wants.access_modes), wants.volume_mode]
    parts.append("no class set" if wants.storage_class is None else f"class {named(wants.storage_class)}")
    if wants.attributes_class:
        parts.append(f"attributes class {wants.attributes_class}")
    if wants.selector:
        parts.append(f"selector {wants.selector}")
    return ", ".join(part for part in parts if part)


def _class_line(explanation: ClaimExplanation) -> Iterator[str]:
    note = explanation.storage_class
    if note is None or explanation.phase == "Bound":
        return
    if not note.exists:
        missing = f'there is no StorageClass "{note.name}"'
        if missing not in explanation.summary:
            yield f"  {missing}"
        return
    acts = f" (for which {note.driver} acts)" if note.driver else ""
    text = f"  class {note.name}: provisioner {note.provisioner}{acts}, {note.binding_mode or 'no binding mode'}"
    if note.driver_registered is False:
        text += f"; there is no CSIDriver {note.driver or note.provisioner}"
        text += "" if note.driver else " (a provisioner that is no CSI driver needs none)"
    yield text
    if note.default == "CameFromIt":
        yield f"  class {note.name} came from the default class: what was applied names none"
    elif note.default == "IsIt" and explanation.needs_action:
        yield f"  class {note.name} is the default class: a claim that names none gets it"


def reach_line(volume: str, reach: VolumeReach | UnsetType) -> Iterator[str]:
    """Yield the line about the nodes of a volume, unless it can be used everywhere."""
    if reach is UNSET:
        return
    where = f"can be used on {listed(list(reach.nodes))}" if reach.nodes else "can be used on no node"
    if not reach.nodes and not reach.nodes_known:
        where = "can be used on some nodes only"
    yield f"  volume {volume} {where}: its node affinity is {reach.affinity}"


def _table(explanation: ClaimExplanation, most: int | None) -> Iterator[str]:
    groups = () if most is None or explanation.volume_groups is UNSET else explanation.volume_groups
    grouped = {name for group in groups for name in group.names}
    in_rows = [volume for volume in explanation.volumes if volume.name not in grouped]
    shown = in_rows if most is None else in_rows[:most]
    if shown:
        yield from _rows(shown)
    if len(shown) < len(in_rows):
        yield f"… and {len(in_rows) - len(shown)} more (--all-volumes shows them)"
    if groups:
        count = f"of {len(explanation.volumes)} volumes" if not shown else "of the others"
        yield f"{count} {'; '.join(told(group) for group in groups)} (--all-volumes shows them)"


def _rows(shown: Sequence[VolumeNote]) -> Iterator[str]:
    rows = [("VOLUME", "WHY NOT", "RULE"), *((note.name, note.why, note.rule) for note in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, why, rule in rows:
        yield f"{name:<{widths[0]}}   {why:<{widths[1]}}   {rule}"
