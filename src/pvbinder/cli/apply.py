"""``--apply``: manifests that are read by us, and applied by kubectl.

APPLY-1  kubectl gets copies of what we read, in a directory of our own: it meets no pipe to wait for, no device and no
         link, even if the files change meanwhile. Its words name the files that the user named.
APPLY-2  What can't be read is refused before anything starts, as `sources.reading` refuses it.
APPLY-3  ``-`` is standard input, read to its end before anything starts.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.scratch import scratch_directory
from pvbinder.sources.reading import check_dump, read_contents
from pvbinder.sources.texts import documents_in

STANDARD_INPUT: Final = Path("-")
_OF_STANDARD_INPUT: Final = "standard-input.yaml"  # JSON is YAML, too


class ApplyFailed(PvbinderError):  # noqa: N818  (says what happened)
    """kubectl could not apply a manifest."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """What one ``--apply`` names; `content` is that of standard input, which is read once."""

    path: Path
    content: bytes | None = None


def take_manifests(paths: Iterable[Path]) -> tuple[Manifests, ...]:
    """Return what is at `paths`, or raise `DumpError` if it can't be read (APPLY-2, APPLY-3)."""
    taken = []
    for path in paths:
        if path == STANDARD_INPUT:
            ((source, content),) = read_contents(["-"])
            for _ in documents_in(source, content):
                pass
            taken.append(Manifests(path, content))
        else:
            check_dump(str(path))
            taken.append(Manifests(path))
    return tuple(taken)


async def apply(kubeconfig: Path, given: Manifests) -> str:
    """Apply what is `given` with kubectl and return what it said (APPLY-1)."""
    name = "standard input" if given.path == STANDARD_INPUT else str(given.path)
    with scratch_directory() as scratch:
        manifests = await asyncio.to_thread(_copy, given, scratch / "manifests")
        process = await asyncio.create_subprocess_exec(
            "kubectl",
            "apply",
            "--filename",
            str(manifests),
            env={**os.environ, "KUBECONFIG": str(kubeconfig)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    said, complaint = (text.decode(errors="replace").replace(str(manifests), name) for text in (out, err))
    if process.returncode != 0:
        raise ApplyFailed(f"kubectl could not apply {name}", hint=complaint.strip())
    return complaint + said


def _copy(given: Manifests, to: Path) -> Path:
    """Copy the manifests into the new directory `to`, and return what stands for their path there."""
    to.mkdir(mode=0o700)
    if given.content is not None:
        (to / _OF_STANDARD_INPUT).write_bytes(given.content)
        return to / _OF_STANDARD_INPUT
    path = given.path
    for source, content in read_contents([str(path)]):
        (to / Path(source).name).write_bytes(content)
    return to if path.is_dir() else to / path.name
