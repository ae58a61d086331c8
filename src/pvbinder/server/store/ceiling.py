"""The file ``ceiling``: no revision above the number in it was ever given to anybody.

CEILING-1  A start goes on above it, so no revision comes twice, even if the database and its log are lost (STORE-2).

It is raised by a block before a revision above it is written, and lowered to the last used one at a clean stop. So it
costs two syncs for every 100 000 revisions, and a start after a crash skips what is left of the block.
"""

from __future__ import annotations

from pathlib import Path

from pvbinder.server.files.private_files import replacing

FILE_NAME = "ceiling"
BLOCK_REVISIONS = 100_000


def read_ceiling(directory: Path) -> int | None:
    """Return the ceiling, or None if there is none that can be read."""
    try:
        return int((directory / FILE_NAME).read_bytes()[:32])
    except (OSError, ValueError):
        return None


def write_ceiling(directory: Path, revision: int) -> None:
    """Replace the ceiling, durably; raises OSError, and then the old one holds."""
    with replacing(directory / FILE_NAME) as file:
        file.write(b"%d\n" % revision)
