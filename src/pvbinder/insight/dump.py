"""Reading files, by the name that it had in this room: all of it is in `pvbinder.sources`."""

from __future__ import annotations

from pvbinder.sources.errors import DumpError, DumpFileError
from pvbinder.sources.reading import check_dump, read_contents, read_dumps, read_sources, written_at

__all__ = ("DumpError", "DumpFileError", "check_dump", "read_contents", "read_dumps", "read_sources", "written_at")
