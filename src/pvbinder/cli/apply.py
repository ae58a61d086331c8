"""``--apply``: manifests that are read by us, and applied by kubectl.

APPLY-1  kubectl gets copies of what we read, in a directory of our own: it meets no pipe to wait for, no device and no
         link, even if the files change meanwhile. Its words name the files that the user named.
APPLY-2  What can't be read is refused before anything starts, as `sources.reading` refuses it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.scratch import scratch_directory
from pvbinder.sources.reading import check_dump, read_contents


class ApplyFailed(PvbinderError):  # noqa: N818  (says what happened)
    """kubectl could not apply a manifest."""


def check_manifests(paths: Iterable[Path]) -> None:
    """Raise `DumpError` if what is at `paths` can't be read (APPLY-2)."""
    for path in paths:
        check_dump(str(path))


async def apply(kubeconfig: Path, path: Path) -> str:
    """Apply `path` with kubectl and return what it said (APPLY-1)."""
    with scratch_directory() as scratch:
        manifests = await asyncio.to_thread(_copy, path, scratch / "manifests")
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
    said, complaint = (text.decode(errors="replace").replace(str(manifests), str(path)) for text in (out, err))
    if process.returncode != 0:
        raise ApplyFailed(f"kubectl could not apply {path}", hint=complaint.strip())
    return complaint + said


def _copy(path: Path, to: Path) -> Path:
    """Copy the manifests at `path` into the new directory `to`, and return what stands for `path` there."""
    to.mkdir(mode=0o700)
    for source, content in read_contents([str(path)]):
        (to / Path(source).name).write_bytes(content)
    return to if path.is_dir() else to / path.name
