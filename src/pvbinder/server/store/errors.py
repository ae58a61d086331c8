"""The errors of a data directory, and of a write to it."""

from __future__ import annotations

import shlex
from pathlib import Path

from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.disk import Trouble, in_words, trouble_of, way_out
from pvbinder.server.files.private_files import PrivateFileError


class DataDirectoryError(PvbinderError):
    """The data directory can't be used as it is."""


class DamagedDataError(DataDirectoryError):
    """The data in the directory is not what was written."""

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(
            f"{path} is damaged: {why}",
            hint=f"nothing was changed. Recover what can be read, keeping the damaged files:\n"
            f"pvbinder recover --data-dir {shlex.quote(str(path.parent))}",
        )


class UnusableError(DataDirectoryError):
    """The disk doesn't let us use the data directory."""

    def __init__(self, path: Path, error: Exception) -> None:
        self.trouble: Trouble = trouble_of(error, path if path.is_dir() else path.parent) or "failing"
        super().__init__(f"can't use {path}: {in_words(self.trouble, error)}", hint=way_out(self.trouble))


class WriteFailed(PvbinderError):  # noqa: N818  (says what happened)
    """A batch could not be made durable; none of it is stored."""

    def __init__(self, message: str, *, hint: str | None = None, trouble: Trouble = "failing") -> None:
        super().__init__(message, hint=hint)
        self.trouble: Trouble = trouble


def trouble_in(error: BaseException, directory: Path) -> Trouble:
    """Return what the disk of `directory` means by `error`, which may be one of ours."""
    if isinstance(error, UnusableError):
        return error.trouble
    if isinstance(error, PrivateFileError) and error.__cause__ is not None:
        error = error.__cause__
    return trouble_of(error, directory) or "failing"
