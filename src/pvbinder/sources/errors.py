"""What can be wrong with a file that somebody gave us to read."""

from __future__ import annotations

from pvbinder.model.errors import PvbinderError


class DumpError(PvbinderError):
    """A file has no Kubernetes objects that can be read."""


class DumpFileError(DumpError):
    """The path leads to no regular file, or the file has no form that is read, or is damaged, or is over a limit."""
