"""The language of ``--do``: one thing that happens to a cluster, as a value.

STEPS-1  A text is a step or a `StepError` with the forms that there are; nothing is guessed.
STEPS-2  A script is a file with a step a line; empty lines and those that begin with ``#`` are left out.

    drain node/w3                    lose node/w1, lose zone=b           delete storageclass/fast [-n NAMESPACE]
    apply -f FILE [-n NAMESPACE]     scale statefulset/db=5 [-n …]       restore BACKUP          wait 1h
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from pvbinder.files import read_file
from pvbinder.model.durations import parse_duration
from pvbinder.model.errors import PvbinderError

SCRIPT_BYTES_MAX: Final = 1 << 20
WAIT_SECONDS_MAX: Final = 366 * 86_400.0
REPLICAS_MAX: Final = 10_000
FORMS: Final = (
    "drain node/NAME",
    "lose node/NAME",
    "lose zone=NAME",
    "delete KIND/NAME [-n NAMESPACE]",
    "apply -f FILE [-n NAMESPACE]",
    "scale KIND/NAME=REPLICAS [-n NAMESPACE]",
    "restore BACKUP",
    "wait DURATION",
)
_LABELS: Final = {"zone": "topology.kubernetes.io/zone", "region": "topology.kubernetes.io/region"}


class StepError(PvbinderError):
    """A text is no step."""


@dataclass(frozen=True, slots=True)
class DrainStep:
    """Cordon a node, and evict its pods as far as their disruption budgets allow."""

    node: str


@dataclass(frozen=True, slots=True)
class LoseStep:
    """The machines of a node, or of all nodes with a label, are silent from now on."""

    node: str = ""
    label: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class DeleteStep:
    """Delete an object, as ``kubectl delete``."""

    kind: str
    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class ApplyStep:
    """Apply the manifests of files, as ``kubectl apply``."""

    files: tuple[str, ...]
    namespace: str


@dataclass(frozen=True, slots=True)
class ScaleStep:
    """Ask for another number of replicas."""

    kind: str
    name: str
    replicas: int
    namespace: str


@dataclass(frozen=True, slots=True)
class RestoreStep:
    """Create what a backup has and the cluster lacks, as Velero restores it."""

    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitStep:
    """Let time pass."""

    seconds: float


RehearsalStep: TypeAlias = DrainStep | LoseStep | DeleteStep | ApplyStep | ScaleStep | RestoreStep | WaitStep


def parse_step(text: str) -> RehearsalStep:
    """Return the step that `text` means, or raise `StepError` (STEPS-1)."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise StepError(f"{text!r} is no step: {error}") from error
    match words:
        case ["drain", target]:
            return DrainStep(_node(text, target))
        case ["lose", target] if "=" in target:
            key, _, value = target.partition("=")
            return LoseStep(label=_LABELS.get(key, key), value=value)
        case ["lose", target]:
            return LoseStep(node=_node(text, target))
        case ["delete", target, *rest]:
            return DeleteStep(*_object(text, target), _namespace(text, rest))
        case ["apply", "-f", file, *rest]:
            return ApplyStep((file,), _namespace(text, rest))
        case ["scale", target, *rest]:
            found, equals, number = target.rpartition("=")
            if not equals or not (number.isascii() and number.isdecimal()):
                raise _unknown(text)
            if len(number) > len(str(REPLICAS_MAX)) or int(number) > REPLICAS_MAX:
                raise StepError(f"{text!r} asks for too many replicas", hint=f"at most {REPLICAS_MAX}")
            return ScaleStep(*_object(text, found), int(number), _namespace(text, rest))
        case ["restore", *files] if files:
            return RestoreStep(tuple(files))
        case ["wait", duration]:
            return WaitStep(_seconds(text, duration))
        case _:
            raise _unknown(text)


def steps_in(path: Path) -> Iterator[tuple[str, RehearsalStep]]:
    """Yield the steps of a script, each after its text (STEPS-2); raise `StepError` or `UnreadableFileError`."""
    try:
        lines = read_file(path, bytes_max=SCRIPT_BYTES_MAX).decode().splitlines()
    except UnicodeDecodeError as error:
        raise StepError(f"{path} is no UTF-8 text") from error
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            yield text, parse_step(text)
        except StepError as error:
            raise StepError(f"{path}, line {number}: {error.message}", hint=error.hint) from error


def _unknown(text: str) -> StepError:
    return StepError(f"{text!r} is no step", hint="a step is one of:\n  " + "\n  ".join(FORMS))


def _object(text: str, target: str) -> tuple[str, str]:
    kind, slash, name = target.partition("/")
    if not kind or not slash or not name or "/" in name:
        raise _unknown(text)
    return kind, name


def _node(text: str, target: str) -> str:
    kind, slash, name = target.rpartition("/")
    if not name or (slash and kind not in ("node", "nodes", "no")):
        raise _unknown(text)
    return name


def _namespace(text: str, rest: list[str]) -> str:
    match rest:
        case []:
            return "default"
        case ["-n" | "--namespace", namespace]:
            return namespace
        case _:
            raise _unknown(text)


def _seconds(text: str, duration: str) -> float:
    days, is_days, rest = duration.partition("d")
    try:
        if is_days and days.isascii() and days.isdecimal() and not rest:
            seconds = int(days) * 86_400.0
        else:
            seconds = parse_duration(duration)
    except ValueError as error:
        raise StepError(f"{text!r}: {error}", hint="write 30s, 15m, 1h30m or 2d") from error
    if not 0 <= seconds <= WAIT_SECONDS_MAX:
        raise StepError(f"{text!r} is too long or negative", hint="at most 366d")
    return seconds
