"""The flags of the reference's sidecars as `pvbinder csi` takes them, so that a manifest needs another command only.

REFFLAGS-1  Each flag of csi-provisioner, csi-resizer, csi-snapshotter and snapshot-controller, in any way that Go's
            programs take it (``-v=5``, ``-csi-address=…``), works as there, or is passed over with a line in the log
            that says why, or is refused.
REFFLAGS-2  A flag that is passed over changes nothing: what would be lost by that is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from pvbinder import __version__
from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.shared_options import rate_options, true_or_false

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

PASSED_OVER: Final = {  # why a flag changes nothing
    "enable-pprof": "profiles of that kind are of Go programs",
    "resync-period": "nothing is synced again at times: every change is watched",
    "snapshot-orphan-sweep-interval": "a snapshot's protection goes as soon as no claim needs it, and at the start",
    "retry-crd-interval-max": "kinds of snapshots that are missing are looked for until they come",
    "groupsnapshot-name-prefix": "groups of snapshots are left alone",
    "groupsnapshot-name-uuid-length": "groups of snapshots are left alone",
    "automaxprocs": "one process runs on one processor",
    "vmodule": "one verbosity counts for the whole log",
    "log-flush-frequency": "each line is written at once",
    "log-text-split-stream": "the whole log is one stream",
    "log-text-info-buffer-size": "each line is written at once",
    "log-json-split-stream": "the whole log is one stream",
    "log-json-info-buffer-size": "each line is written at once",
}
SWITCHES: Final = frozenset({"enable-pprof", "log-text-split-stream", "log-json-split-stream", "automaxprocs"})
RENAMED: Final = {"v": "verbosity", "logging-format": "log-format"}
_LONG: Final = re.compile(r"-{1,2}([a-z][a-z-]*)(=.*)?", re.DOTALL)


def as_here(arguments: Sequence[str], known: Collection[str]) -> list[str]:
    """Return `arguments` with the flags that Go writes otherwise as the options that are `known`, without their dashes.

    A flag has one dash or two, and its value after ``=`` or in the next argument; some have another name here.
    """
    found = []
    for argument in arguments:
        match = _LONG.fullmatch(argument)
        name = RENAMED.get(match[1], match[1]) if match is not None else ""
        found.append(f"--{name}{match[2] or ''}" if match is not None and name in known else argument)
    return found


def reference_flags(command: _Decorated) -> _Decorated:
    """Add those that few need, and those that are passed over or refused; these are not in the help."""
    for name, why in PASSED_OVER.items():
        if name in SWITCHES:
            command = true_or_false(f"--{name}", default=False, is_hidden=True, help=f"Passed over: {why}.")(command)
        else:
            command = click.option(f"--{name}", metavar="VALUE", hidden=True, help=f"Passed over: {why}.")(command)
    command = true_or_false(
        "--enable-distributed-snapshotting", default=False, is_hidden=True, help="Refused: nothing takes them."
    )(command)
    command = click.option(
        "--metrics-address", metavar="[HOST]:PORT", default="", hidden=True, help="The old name of --http-endpoint."
    )(command)
    command = click.option(
        "--cloning-protection-threads",
        type=click.IntRange(1, 10_000),
        default=1,
        metavar="N",
        help="How many claims and snapshots lose the finalizer of what is made from them at once.",
    )(command)
    command = rate_options("5")(command)
    command = click.option(
        "--master",
        default="",
        metavar="URL",
        show_default="the kubeconfig's",
        help="The API server, in place of the one that the kubeconfig names.",
    )(command)
    return click.version_option(__version__, message="pvbinder %(version)s")(command)


def passed_over(given: Mapping[str, Any], said: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Return the flags that were `said` and change nothing, each with the reason; `given` has their values."""
    found = []
    for name, why in PASSED_OVER.items():
        key = name.replace("-", "_")
        if key in said and given[key] is not False:
            found.append((f"--{name}", why))
    return tuple(found)


def endpoint_said(http_endpoint: str, metrics_address: str) -> str:
    """Return the one of both that was given; raise WrongUsageError for both, as the reference does."""
    if http_endpoint and metrics_address:
        raise WrongUsageError("only one of --metrics-address and --http-endpoint can be set")
    return http_endpoint or metrics_address


def check_not_distributed(is_wanted: bool) -> None:
    """Raise WrongUsageError if each node is to take the snapshots of its volumes."""
    if is_wanted:
        raise WrongUsageError(
            "--enable-distributed-snapshotting: each node's own snapshots aren't taken here",
            hint="leave the snapshotter out with --roles, and run csi-snapshotter and snapshot-controller for it",
        )


def master_of(text: str) -> str:
    """Return `text` if it is empty or can be the URL of an API server; raise WrongUsageError."""
    parts = urlsplit(text) if text.isprintable() else None
    if text and (parts is None or parts.scheme not in ("http", "https") or not parts.hostname):
        raise WrongUsageError(f"--master: {text!r} is no URL such as https://host:6443")
    return text.rstrip("/")
