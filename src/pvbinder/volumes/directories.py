"""Opening a directory step by step, so that no symbolic link decides where the way leads.

DIRECTORIES-1  Every step of the way is opened relative to the one before it, and none is followed if it is a symbolic
               link: whoever swaps a directory for a link meanwhile gets an error, not our hands somewhere else.
DIRECTORIES-2  On the way to a root that the operator chose, a link is followed where nobody else can have made it: it
               and the directory that it is in belong to root or to us, and no group or other may write there. The root
               itself is never a link.

``/tmp`` may be a link of the system (as on macOS): only root can change that.

Blocking: call it in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Final

from pvbinder.model.errors import PvbinderError

SYSTEM_TMP: Final = "/tmp"  # noqa: S108  (the reference's root for hostPath)
LINKS_MAX: Final = 40  # as the kernel follows at most
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class LinkRefusedError(PvbinderError):
    """A path has a symbolic link where none may be (DIRECTORIES-1)."""


def steps_of(path: str) -> list[str]:
    """Return the names in `path`, without empty ones and ``.``."""
    return [step for step in path.split("/") if step not in ("", ".")]


def open_step(directory: int, name: str) -> int:
    """Open the directory `name` in `directory`; OSError if it is a link or no directory."""
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)


def open_root(path: str, *, chosen: bool = False, make_mode: int | None = None) -> int:
    """Open the absolute `path`, link by no link; `chosen` is a root that the operator named (DIRECTORIES-2).

    With `make_mode`, missing directories are made with that mode. Raises `LinkRefusedError` or `OSError`.
    """
    steps = steps_of(path)
    if not path.startswith("/") or ".." in steps:
        raise LinkRefusedError(f"{path!r} is no absolute path without '..'")
    if steps == steps_of(SYSTEM_TMP):
        return os.open(SYSTEM_TMP, _DIRECTORY)
    directory, walked, links = os.open("/", _DIRECTORY), "", 0
    try:
        while steps:
            step = steps.pop(0)
            try:
                below = _open_or_make(directory, step, make_mode)
            except OSError as error:
                target = _link_at(directory, step, error)
                if target is None:
                    raise OSError(error.errno, error.strerror, path) from error
                links += 1
                if not (chosen and steps and links <= LINKS_MAX and _only_ours(directory, step)):
                    raise LinkRefusedError(f"{walked}/{step} is a symbolic link, to {target}") from error
                steps = steps_of(target) + steps
                if not target.startswith("/"):
                    continue
                below, step, walked = os.open("/", _DIRECTORY), "", ""
            os.close(directory)
            directory = below
            walked = os.path.normpath(f"{walked}/{step}") if step else ""  # a trusted link may lead back up
    except BaseException:
        os.close(directory)
        raise
    return directory


def open_below(directory: int, steps: list[str], shown: str) -> int:
    """Open the directory that `steps` lead to from `directory`, which stays open (DIRECTORIES-1).

    Raises `LinkRefusedError` or `OSError`; `shown` is the name of `directory` in messages.
    """
    opened = os.dup(directory)
    try:
        for step in steps:
            shown = f"{shown}/{step}"
            try:
                below = open_step(opened, step)
            except OSError as error:
                target = _link_at(opened, step, error)
                if target is not None:
                    raise LinkRefusedError(f"{shown} is a symbolic link, to {target}") from error
                raise
            os.close(opened)
            opened = below
    except BaseException:
        os.close(opened)
        raise
    return opened


def _open_or_make(directory: int, name: str, make_mode: int | None) -> int:
    try:
        return open_step(directory, name)
    except FileNotFoundError:
        if make_mode is None:
            raise
    with contextlib.suppress(FileExistsError):  # by somebody else, or a link to nothing: opening it tells
        os.mkdir(name, make_mode, dir_fd=directory)
    return open_step(directory, name)


def _link_at(directory: int, name: str, error: OSError) -> str | None:
    """Where the link `name` leads to, if it is a link that `error` is about."""
    if error.errno not in (errno.ELOOP, errno.ENOTDIR):
        return None
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return None


def _only_ours(directory: int, name: str) -> bool:
    """Whether nobody but root and we can have made the link `name` (DIRECTORIES-2)."""
    ours = (0, os.geteuid())
    around = os.fstat(directory)
    if around.st_uid not in ours or stat.S_IMODE(around.st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
        return False
    return os.stat(name, dir_fd=directory, follow_symlinks=False).st_uid in ours
