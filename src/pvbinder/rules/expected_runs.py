"""The time that a person would expect a pod to run, from its commands: nothing is ever started, so nobody can look.

EXPECTED-1  A container without a command runs: its image decides, and most images are servers. So does one with ports
            or probes, one that waits (``pause``, ``sleep infinity``, ``tail -f``), and one with an endless loop.
EXPECTED-2  One that sleeps ends after that time; several sleeps in one script add up.
EXPECTED-3  Every other script ends soon. A pod runs as long as the longest of its containers.
EXPECTED-4  A pod of a Job is there to end: only a command that waits or sleeps keeps it running.
EXPECTED-5  Text that only looks like a command (a quoted ``sleep``, a time too large) never fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from pvbinder.model.json import Json

SOON: Final = timedelta(milliseconds=200)  # long enough to be seen Running by a watch, and by a client that polls
SECONDS_MAX: Final = 1e9

_SLEEP: Final = re.compile(r"(?<![\w.-])(?:/\S*/)?sleep\s+((?:\d+(?:\.\d+)?|\.\d+)[smhd]?)(?![\w.])", re.ASCII)
_PYTHON_SLEEP: Final = re.compile(r"\bsleep\(\s*(\d+(?:\.\d+)?)\s*\)", re.ASCII)
_UNITS: Final[Mapping[str, float]] = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ENDLESS: Final = re.compile(
    r"""
    (?<![\w.-])(?:/\S*/)?sleep\s+(?:infinity|inf)\b
    | (?<![\w.-])(?:/\S*/)?tail\s(?:[^|;&\n]*\s)?-(?:[a-zA-Z0-9]*[fF]\b|-follow)
    | \b(?:while|until)\s+(?:true|false|:|1\b|\[\s*1\s*\]|\[\[\s*(?:1|true)\s*\]\]|/bin/true)
    | \bfor\s*\(\(\s*;\s*;\s*\)\)
    | \bwhile\s*\(?\s*(?:True|true|1)\s*\)?\s*[:{]
    | (?<![\w.-])(?:/\S*/)?pause(?![\w.-])
    | \bhttp\.server\b | \bserve_forever\b | \bdaemon\s+off\b
    | \bsignal\.pause\b
    """,
    re.VERBOSE,
)
_SHELLS: Final = frozenset({"sh", "bash", "ash", "zsh", "dash", "cat"})
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")


def expected_run(pod_document: Json) -> timedelta | None:
    """Return how long the containers of a pod run until they have all ended by themselves, None if they never do."""
    spec = pod_document.get("spec") or {}
    is_job = is_of_job(pod_document)
    runs = [_container_run(container, is_job=is_job) for container in spec.get("containers") or []]
    longest = SOON
    for run in runs:
        if run is None:
            return None
        longest = max(longest, run)
    return longest


def is_of_job(pod_document: Json) -> bool:
    """Tell whether a Job controls the pod."""
    owners = (pod_document.get("metadata") or {}).get("ownerReferences") or []
    return any(owner.get("controller") and owner.get("kind") == "Job" for owner in owners)


def _container_run(container: Json, *, is_job: bool) -> timedelta | None:
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    if not words:
        return SOON if is_job else None
    if _waits_for_input(container, words):
        return None
    if not is_job and (container.get("ports") or any(container.get(probe) for probe in _PROBES)):
        return None
    script = " ".join(str(word) for word in words)
    if _ENDLESS.search(script):
        return None
    seconds = sum(_seconds(found) for found in _SLEEP.findall(script))
    seconds += sum(float(found) for found in _PYTHON_SLEEP.findall(script))
    return max(SOON, timedelta(seconds=min(seconds, SECONDS_MAX)))


def _waits_for_input(container: Json, words: list[str]) -> bool:
    """Whether it is a shell that somebody is to type into."""
    is_open = bool(container.get("stdin") or container.get("tty"))
    return is_open and len(words) == 1 and str(words[0]).rpartition("/")[2] in _SHELLS


def _seconds(text: str) -> float:
    unit = _UNITS.get(text[-1])
    return float(text[:-1]) * unit if unit is not None else float(text)
