"""The pods of a Job: what is made of its template, and the numbers of an indexed one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pvbinder.model.json import Json
from pvbinder.model.objects import Pod
from pvbinder.model.workloads import JOBS, Workload
from pvbinder.rules.pod_templates import controller_reference, pod_of_template

INDEX_ANNOTATION: Final = "batch.kubernetes.io/job-completion-index"
INDEX_VARIABLE: Final = "JOB_COMPLETION_INDEX"
TRACKING_FINALIZER: Final = "batch.kubernetes.io/job-tracking"
NAME_CHARACTERS_MAX: Final = 63
_RANGE: Final = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", re.ASCII)
_INDEXES_MAX: Final = 1_000_000


def index_of(pod: Pod) -> int | None:
    """Return the number of an indexed job's pod, None if it has none."""
    text = pod.annotations.get(INDEX_ANNOTATION, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def parse_indexes(text: str) -> set[int]:
    """Return the numbers that ``"0,2-4"`` names; what can't be read names none."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        match = _RANGE.fullmatch(part)
        if match is None:
            continue
        first, last = int(match[1]), int(match[2] or match[1])
        found.update(range(first, min(last, first + _INDEXES_MAX) + 1))
    return found


def write_indexes(indexes: Iterable[int]) -> str:
    """Return numbers as ``"0,2-4"``; two in a row are listed, three or more are a range."""
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if index is not None and run and index == run[-1] + 1:
            run.append(index)
            continue
        if len(run) > 2:
            parts.append(f"{run[0]}-{run[-1]}")
        else:
            parts += [str(one) for one in run]
        run = [index] if index is not None else []
    return ",".join(parts)


def job_pod(job: Workload, index: int | None) -> Json:
    """Return the pod that `job` makes; `index` is its number in an indexed job."""
    owner = controller_reference(JOBS, job.name, job.uid)
    stem = job.name if index is None else f"{job.name}-{index}"
    prefix = f"{stem[: NAME_CHARACTERS_MAX - 6]}-"
    document = pod_of_template(job.spec.get("template") or {}, job.namespace, owner, prefix=prefix)
    metadata, spec = document["metadata"], document["spec"]
    metadata["finalizers"] = [*(metadata.get("finalizers") or []), TRACKING_FINALIZER]
    if index is None:
        return document
    for field in ("labels", "annotations"):
        metadata[field] = {**(metadata.get(field) or {}), INDEX_ANNOTATION: str(index)}
    spec["hostname"] = stem[:NAME_CHARACTERS_MAX]
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX_ANNOTATION}']"}}
    for container in (*(spec.get("initContainers") or []), *(spec.get("containers") or [])):
        variables = container.get("env") or []
        if not any(one.get("name") == INDEX_VARIABLE for one in variables):
            container["env"] = [*variables, {"name": INDEX_VARIABLE, "valueFrom": source}]
    return document
