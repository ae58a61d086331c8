"""Explanations as text: the verdict and what happens next first, then the evidence, then the way out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from pvbinder.insight.explanation import ClaimExplanation, PodExplanation, VolumeNote, Wants
from pvbinder.insight.wording import named
from pvbinder.model.access_modes import short_modes
from pvbinder.model.printable import printable

VOLUMES_SHOWN_MAX = 20
E = TypeVar("E", ClaimExplanation, PodExplanation)


def claim_report(explanation: ClaimExplanation, *, most_volumes: int | None = VOLUMES_SHOWN_MAX) -> str:
    """Return `explanation` as lines; `most_volumes` of None shows them all."""
    return "\n".join(_claim_lines(_printable(explanation), most_volumes)) + "\n"


def pod_report(explanation: PodExplanation, *, most_volumes: int | None = VOLUMES_SHOWN_MAX) -> str:
    """Return `explanation` as lines, each of its claims below."""
    explanation = _printable(explanation)
    where = f" on node {explanation.node}" if explanation.node else ""
    lines = [f"pod {explanation.pod} is {explanation.phase}{where}: {explanation.summary}"]
    if explanation.problem and explanation.problem not in explanation.summary:
        lines.append(f"  scheduler: {explanation.problem}")
    for claim in explanation.claims:
        lines += ["", *("  " + line if line else "" for line in _claim_lines(claim, most_volumes))]
    return "\n".join(lines) + "\n"


def _printable(explanation: E) -> E:
    """The same with every text in it as one printable line: values come from objects, and lines are ours."""
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


def _claim_lines(explanation: ClaimExplanation, most_volumes: int | None) -> Iterator[str]:
    headline = f"{explanation.claim} is {explanation.phase}: {explanation.summary}"
    yield f"{headline}   ({', '.join(explanation.rules)})"
    yield f"  next: {explanation.next}"
    if explanation.wants is not None:
        yield f"  wants {_wanted(explanation.wants)}"
    yield from _class_line(explanation)
    if explanation.node is not None:
        there = "" if explanation.node.exists else ", which doesn't exist"
        yield f"  node {explanation.node.name} was selected{there}"
    for pod in explanation.pods:
        where = f"on node {pod.node}" if pod.node else "without a node"
        yield f"  pod {pod.name} uses it: {pod.phase or 'Pending'} {where}" + (
            f"; {pod.problem}" if pod.problem else ""
        )
    for event in explanation.events:
        yield f"  event {event.type} {event.reason}: {event.message}" + (
            f" (x{event.count})" if event.count > 1 else ""
        )
    if explanation.volumes:
        yield ""
        yield from ("  " + line for line in _table(explanation.volumes, most_volumes))
    if explanation.advice:
        many = len(explanation.advice) > 1
        yield "  Any one of these lets it go on:" if many else "  What to do:"
        yield from (f"    - {sentence}" for sentence in explanation.advice)


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
    if note is None:
        return
    if not note.exists:
        yield f'  there is no StorageClass "{note.name}"'
        return
    acts = f" (for which {note.driver} acts)" if note.driver else ""
    text = f"  class {note.name}: provisioner {note.provisioner}{acts}, {note.binding_mode or 'no binding mode'}"
    if note.driver_registered is False:
        text += f"; there is no CSIDriver {note.driver or note.provisioner}"
        text += "" if note.driver else " (a provisioner that is no CSI driver needs none)"
    yield text


def _table(volumes: Sequence[VolumeNote], most: int | None) -> Iterator[str]:
    shown = volumes if most is None else volumes[:most]
    rows = [("VOLUME", "WHY NOT", "RULE"), *((note.name, note.why, note.rule) for note in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, why, rule in rows:
        yield f"{name:<{widths[0]}}   {why:<{widths[1]}}   {rule}"
    if len(shown) < len(volumes):
        yield f"… and {len(volumes) - len(shown)} more (--all-volumes shows them)"
