"""The flags of an election of one process among several, as kube-controller-manager and the sidecars have them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from pvbinder.cli.durations import GoDuration
from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.shared_options import true_or_false
from pvbinder.kube.election_options import ElectionOptions, ElectionOptionsError

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def checked(options: ElectionOptions, prefix: str) -> ElectionOptions:
    """Return `options`; raise WrongUsageError for times with which no election works."""
    try:
        options.check()
    except ElectionOptionsError as error:
        raise WrongUsageError(f"{prefix}: {error.message}") from error
    return options


def election_times(prefix: str, retry: str) -> Callable[[_Decorated], _Decorated]:
    """Add ``PREFIX-lease-duration``, ``-renew-deadline`` and ``-retry-period``."""

    def decorate(command: _Decorated) -> _Decorated:
        for name, default, meaning in (
            ("retry-period", retry, "The pause between two tries to have the lead, or to renew it."),
            ("renew-deadline", "10s", "How long a leader tries to renew before it stops."),
            ("lease-duration", "15s", "How long others leave a leader alone that doesn't renew."),
        ):
            command = click.option(
                f"{prefix}-{name}", type=GoDuration(), default=default, metavar="DURATION", help=meaning
            )(command)
        return command

    return decorate


def controller_election(command: _Decorated) -> _Decorated:
    """Add kube-controller-manager's ``--leader-elect`` and what belongs to it."""
    command = click.option(
        "--leader-elect-resource-namespace", default="kube-system", metavar="NAME", help="The namespace of the lease."
    )(command)
    command = click.option(
        "--leader-elect-resource-name",
        default="pvbinder-controller",
        metavar="NAME",
        help="The lease; kube-controller-manager's own has its name, and another holder.",
    )(command)
    command = click.option(
        "--leader-elect-resource-lock",
        type=click.Choice(["leases"]),
        default="leases",
        help="The kind of object that is the lock.",
    )(command)
    command = election_times("--leader-elect", "2s")(command)
    return true_or_false(
        "--leader-elect",
        default=False,
        help="Work only while no other process does that is started like this: of several, one.",
    )(command)


def sidecar_election(command: _Decorated) -> _Decorated:
    """Add the sidecars' ``--leader-election`` and what belongs to it."""
    command = click.option(
        "--leader-election-labels",
        metavar="NAME:VALUE,...",
        default="",
        show_default=False,
        help="Labels that the leases get; NAME=VALUE is read, too.",
    )(command)
    command = election_times("--leader-election", "5s")(command)
    command = click.option(
        "--leader-election-namespace",
        metavar="NAME",
        default="",
        show_default="POD_NAMESPACE, else the service account's, else default",
        help="Where the leases are.",
    )(command)
    return true_or_false(
        "--leader-election",
        default=False,
        help="Work only while no other sidecar of the driver does the same: of several, one in each role.",
    )(command)


def namespace_of_pod(account: Path = ACCOUNT_NAMESPACE) -> str:
    """Return the namespace that this process runs in, as far as anything says so."""
    said = os.environ.get("POD_NAMESPACE", "")
    if said:
        return said
    try:
        return account.read_text().strip() or "default"
    except (OSError, UnicodeDecodeError):
        return "default"


def read_labels(text: str, flag: str) -> tuple[tuple[str, str], ...]:
    """Read ``a:b,c:d`` as the reference does, or ``a=b,c=d``; raise WrongUsageError."""
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = part.partition(":" if ":" in part else "=")
        if not separator or not name.strip() or ":" in value or "=" in value:
            raise WrongUsageError(f"{flag}: {part!r} is no label such as name:value")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)
