"""Errors of the command line, and which exit code an error gets (STYLE: 0 fine, 1 "no", 2 usage, 3 failed)."""

from __future__ import annotations

from collections.abc import Iterator

from pvbinder.model.errors import PvbinderError

EXIT_NO = 1
EXIT_USAGE = 2
EXIT_FAILED = 3
EXIT_INTERRUPTED = 130


class WrongUsageError(PvbinderError):
    """The command can't be carried out as it was given: wrong usage or configuration."""


def exit_code_of(error: PvbinderError) -> int:
    """Return 2 for an error that another command line avoids, else 3."""
    from pvbinder.controllers.flags import OptionError  # only when something went wrong: `--help` must not wait
    from pvbinder.controllers.registry import UnknownControllerError
    from pvbinder.files import UnreadableFileError
    from pvbinder.foresight.steps import StepError
    from pvbinder.kube.errors import ConfigError
    from pvbinder.server.files.private_files import PrivateFileError
    from pvbinder.server.identity.authentication import TokenFileError
    from pvbinder.server.store import DataDirectoryError
    from pvbinder.server.wire.http import ListenError
    from pvbinder.sources.errors import DumpFileError

    by_asking_differently = (
        WrongUsageError,
        ConfigError,
        DataDirectoryError,
        DumpFileError,
        ListenError,
        OptionError,
        PrivateFileError,
        StepError,
        TokenFileError,
        UnreadableFileError,
        UnknownControllerError,
    )
    return EXIT_USAGE if isinstance(error, by_asking_differently) else EXIT_FAILED


def reasons_in(error: BaseException) -> list[PvbinderError]:
    """Return the errors that `error` consists of, or nothing if any of them isn't one of ours.

    Task groups wrap what their tasks raise in groups of groups.
    """
    leaves = list(_leaves(error))
    ours = [leaf for leaf in leaves if isinstance(leaf, PvbinderError)]
    return list({leaf.message: leaf for leaf in ours}.values()) if len(ours) == len(leaves) else []


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error
