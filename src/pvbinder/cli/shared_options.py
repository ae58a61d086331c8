"""Options that several commands take, each said once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def server_options(command: _Decorated) -> _Decorated:
    """Add ``kubeconfig`` and ``context``: which API server is meant."""
    command = click.option(
        "--context", metavar="NAME", show_default="the current one", help="The context of the kubeconfig to use."
    )(command)
    return click.option(
        "--kubeconfig",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        show_default="as kubectl finds it, else the service account of the pod",
        help="The kubeconfig that leads to the API server.",
    )(command)


def metrics_options(port: int) -> Callable[[_Decorated], _Decorated]:
    """Add ``metrics_host``, ``metrics_port`` (`port` by default) and ``no_metrics``."""

    def decorate(command: _Decorated) -> _Decorated:
        command = click.option("--no-metrics", is_flag=True, help="Answer none of them, and listen nowhere.")(command)
        command = click.option(
            "--metrics-port",
            type=click.IntRange(0, 65535),
            default=port,
            metavar="N",
            help="Port for the same; 0 is any free one, which the log names.",
        )(command)
        return click.option(
            "--metrics-host",
            default="127.0.0.1",
            metavar="ADDRESS",
            help="Address to answer /metrics, /healthz, /livez and /readyz on; it asks nobody who they are.",
        )(command)

    return decorate


def rate_options(reference_qps: str) -> Callable[[_Decorated], _Decorated]:
    """Add ``kube_api_qps`` and ``kube_api_burst``, which in the reference is limited to `reference_qps`."""

    def decorate(command: _Decorated) -> _Decorated:
        command = click.option(
            "--kube-api-burst",
            type=click.IntRange(0),
            metavar="N",
            show_default="10, with --kube-api-qps",
            help="How many requests to the API server may be at once, before that limit counts.",
        )(command)
        return click.option(
            "--kube-api-qps",
            type=float,
            metavar="N",
            show_default=f"no limit, unlike the reference's {reference_qps}: what the server says is obeyed (429)",
            help="The requests to the API server in a second, all together; watches and leases are not counted.",
        )(command)

    return decorate


def log_options(command: _Decorated) -> _Decorated:
    """Add ``verbosity`` and ``log_format``."""
    command = click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Log lines for people or for programs.",
    )(command)
    return click.option(
        "-v",
        "--verbosity",
        type=click.IntRange(0, 10),
        default=0,
        metavar="N",
        help="How much to log: 0 what was changed, 3 also decisions, 6 also what the libraries say.",
    )(command)


def true_or_false(
    name: str,
    *,
    default: bool,
    help: str,  # noqa: A002
    is_hidden: bool = False,
) -> Callable[[_Decorated], _Decorated]:
    """Add a switch as Go's flags are: ``--name``, ``--name=true`` or ``--name=false``."""
    return click.option(
        name,
        type=bool,
        is_flag=False,
        flag_value="true",
        default=str(default).lower(),
        metavar="[true|false]",
        hidden=is_hidden,
        help=help,
    )
