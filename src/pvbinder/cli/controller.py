"""``pvbinder controller``: what it accepts, and the help that says so. What it does is in `control`."""

from __future__ import annotations

from pathlib import Path

import click

from pvbinder.cli.controller_flags import WithControllerFlags, given, process_flags
from pvbinder.cli.options import ControlOptions, LogFormat
from pvbinder.controllers.configuration import read_options

EPILOG = """\b
Examples:
  pvbinder controller --kubeconfig ~/.kube/config --context staging
  pvbinder controller --controllers '*,-ephemeral-volume' --metrics-port 9090
  pvbinder controller --config pvbinder.yaml       # in a pod: as its service account
"""


@click.command(cls=WithControllerFlags, epilog=EPILOG, context_settings={"show_default": True})
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    show_default="as kubectl finds it, else the service account of the pod",
    help="The kubeconfig that leads to the API server.",
)
@click.option("--context", metavar="NAME", show_default="the current one", help="The context of the kubeconfig to use.")
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Address to answer /metrics, /healthz, /livez and /readyz on; it asks nobody who they are.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=10270,
    metavar="N",
    help="Port for the same; 0 is any free one, which the log names.",
)
@click.option("--no-metrics", is_flag=True, help="Answer none of them, and listen nowhere.")
@process_flags
def controller(
    *,
    kubeconfig: Path | None,
    context: str | None,
    metrics_host: str,
    metrics_port: int,
    no_metrics: bool,
    verbosity: int,
    log_format: LogFormat,
    config: Path | None,
    **flags: str | None,
) -> int:
    """Run the controllers against any API server, such as a cluster's.

    The same controllers as in `pvbinder up`, as a process of their own. '*' are those for persistent volumes: the
    binder, the protection of claims, volumes and attributes classes, the expander and ephemeral volumes. Switch them
    off in the cluster's kube-controller-manager first: docs/how-to/real-cluster.md says how. Whatever else a cluster
    has of its own (scheduler, kubelet, garbage collector, ...) runs here only if it is named.

    An API server that can't be reached is tried again until it answers. It stays until Ctrl-C or SIGTERM.
    """
    options = ControlOptions(
        kubeconfig=kubeconfig,
        context=context,
        controllers=read_options(given(flags), config),
        metrics=None if no_metrics else (metrics_host, metrics_port),
        verbosity=verbosity,
        log_format=log_format,
    )
    from pvbinder.cli.control import control  # the parts that take time to import

    return control(options)
