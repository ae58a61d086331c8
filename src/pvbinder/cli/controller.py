"""``pvbinder controller``: what it accepts, and the help that says so. What it does is in `control`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pvbinder.cli.controller_flags import WithControllerFlags, given, process_flags
from pvbinder.cli.durations import GoDuration
from pvbinder.cli.election_flags import checked, controller_election
from pvbinder.cli.options import ControlOptions, LogFormat
from pvbinder.cli.serving_flags import passed_over_flags, secure_options, serving_flags
from pvbinder.cli.shared_options import metrics_options, rate_options, server_options
from pvbinder.controllers.configuration import Rates, read_options
from pvbinder.kube.election_options import ElectionOptions

EPILOG = """\b
Examples:
  pvbinder controller --kubeconfig ~/.kube/config --context staging
  pvbinder controller --controllers '*,-ephemeral-volume' --metrics-port 9090
  pvbinder controller --config pvbinder.yaml       # in a pod: as its service account
  pvbinder controller --leader-elect               # one of several
  pvbinder controller --secure-port 10257          # metrics over TLS, for those whom the API server lets
"""


@click.command(cls=WithControllerFlags, epilog=EPILOG, context_settings={"show_default": True})
@server_options
@controller_election
@metrics_options(10270)
@serving_flags
@rate_options("20")
@click.option(
    "--audit-interval",
    type=GoDuration(),
    metavar="DURATION",
    show_default="never",
    help="Audit the cluster as often, as `pvbinder audit` does, and export pvbinder_finding.",
)
@process_flags
@click.pass_context
def controller(
    ctx: click.Context,
    /,
    *,
    kubeconfig: Path | None,
    context: str | None,
    leader_elect: bool,
    leader_elect_lease_duration: float,
    leader_elect_renew_deadline: float,
    leader_elect_retry_period: float,
    leader_elect_resource_lock: str,
    leader_elect_resource_name: str,
    leader_elect_resource_namespace: str,
    metrics_host: str,
    metrics_port: int,
    no_metrics: bool,
    verbosity: int,
    log_format: LogFormat,
    config: Path | None,
    kube_api_qps: float | None,
    kube_api_burst: int | None,
    audit_interval: float | None,
    **flags: Any,
) -> int:
    """Run the controllers against any API server, such as a cluster's.

    The same controllers as in `pvbinder up`, as a process of their own. '*' are those for persistent volumes: the
    binder, the protection of claims, volumes and attributes classes, the expander and ephemeral volumes. Switch them
    off in the cluster's kube-controller-manager first: docs/how-to/real-cluster.md says how. Whatever else a cluster
    has of its own (scheduler, kubelet, garbage collector, ...) runs here only if it is named.

    An API server that can't be reached is tried again until it answers. It stays until Ctrl-C or SIGTERM.

    Of several processes with --leader-elect one works; another takes over when it ends, or is cut off from the server.
    """
    del leader_elect_resource_lock  # there is one kind
    election = None
    if leader_elect:
        election = ElectionOptions(
            leader_elect_resource_namespace,
            lease_seconds=leader_elect_lease_duration,
            renew_deadline_seconds=leader_elect_renew_deadline,
            retry_seconds=leader_elect_retry_period,
        )
        checked(election, "--leader-elect")
    secure = secure_options(flags)
    said = {ctx.get_parameter_source(name) for name in ("metrics_host", "metrics_port")}
    has_plain = not no_metrics and (secure is None or ParameterSource.COMMANDLINE in said)
    rates = Rates()
    controllers = read_options(given(flags), config, rates=rates)
    options = ControlOptions(
        kubeconfig=kubeconfig,
        context=context,
        controllers=controllers,
        metrics=(metrics_host, metrics_port) if has_plain else None,
        secure=secure,
        passed_over=passed_over_flags(flags),
        verbosity=verbosity,
        log_format=log_format,
        election=(leader_elect_resource_name, election) if election is not None else None,
        kube_api_qps=rates.qps if kube_api_qps is None else kube_api_qps,
        kube_api_burst=rates.burst if kube_api_burst is None else kube_api_burst,
        audit_interval_seconds=audit_interval,
    )
    from pvbinder.cli.control import control  # the parts that take time to import

    return control(options)
