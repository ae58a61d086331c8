"""``pvbinder csi``: what it accepts, and the help that says so. What it does is in `control`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from pvbinder.cli.csi_flags import (
    RELEASES,
    TOPOLOGY,
    capacity_flags,
    capacity_options,
    check_names,
    endpoint_flags,
    endpoint_of,
    gate_flags,
    metrics_path_of,
    node_flags,
    node_options,
    read_gates,
)
from pvbinder.cli.durations import GoDuration
from pvbinder.cli.election_flags import checked, namespace_of_pod, read_labels, sidecar_election
from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.options import ControlOptions, LogFormat
from pvbinder.cli.reference_flags import (
    as_here,
    check_not_distributed,
    endpoint_said,
    master_of,
    passed_over,
    reference_flags,
)
from pvbinder.cli.shared_options import log_options, metrics_options, server_options, true_or_false
from pvbinder.controllers.csi.options import ProvisionerOptions, ResizerOptions, SidecarOptions, SnapshotterOptions
from pvbinder.controllers.csi.roles import ROLE_NAMES, UnknownRoleError, choose_roles
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.election_options import ElectionOptions
from pvbinder.rules.csi.snapshots.names import SnapshotNaming
from pvbinder.rules.csi.volumes import VolumeNaming

ON_NODES: Final = "provisioner"  # the role that one sidecar on each node can do
PROVISIONER, RESIZER, SNAPSHOTTER = ProvisionerOptions(), ResizerOptions(), SnapshotterOptions()  # the defaults

EPILOG = """\b
Examples:
  pvbinder csi --csi-address unix:///run/csi/csi.sock --kubeconfig ~/.kube/config
  pvbinder csi --csi-address /run/csi/socket --extra-create-metadata --strict-topology
  pvbinder csi --csi-address /run/csi/socket --roles provisioner      # beside other sidecars
  pvbinder csi audit --csi-address /run/csi/socket      # compare the driver with the cluster
"""


class WithAudit(click.Group):
    """A command that works by itself, and has another that is imported when it runs.

    Its flags may be written as Go's programs take them (REFFLAGS-1).
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the flags; those of the other are its own."""
        at = args.index("audit") if "audit" in args else len(args)
        known = {name.removeprefix("--") for one in self.params for name in one.opts if name.startswith("--")}
        return super().parse_args(ctx, [*as_here(args[:at], known), *args[at:]])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the other."""
        return ["audit"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the other."""
        if cmd_name != "audit":
            return None
        from pvbinder.cli.csi_audit import audit

        return audit


@click.group(
    cls=WithAudit,
    epilog=EPILOG,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    context_settings={"show_default": True},
)
@click.pass_context
@click.option(
    "--csi-address",
    default="/run/csi/socket",
    metavar="ADDRESS",
    help="The driver's socket: unix:///path, or a path. One that isn't there yet is waited for.",
)
@click.option(
    "--roles",
    metavar="LIST",
    show_default=f"{','.join(ROLE_NAMES)}; with --node-deployment {ON_NODES}",
    help="What to do for the driver; whatever is left out, another sidecar may do.",
)
@server_options
@click.option(
    "--intents-namespace",
    metavar="NAME",
    default=lambda: os.environ.get("POD_NAMESPACE") or "default",
    show_default="POD_NAMESPACE, else default",
    help="Where the ConfigMaps are kept that say what the driver was asked for, until it is saved.",
)
@click.option("--volume-name-prefix", default="pvc", metavar="TEXT", help="What the names of volumes begin with.")
@click.option(
    "--volume-name-uuid-length",
    type=click.IntRange(-1, 32),
    default=-1,
    metavar="N",
    help="How many characters of the claim's uid follow, without its dashes; -1 is the uid as it is.",
)
@click.option("--snapshot-name-prefix", default="snapshot", metavar="TEXT", help="What snapshots' names begin with.")
@click.option(
    "--snapshot-name-uuid-length",
    type=click.IntRange(-1, 32),
    default=-1,
    metavar="N",
    help="How many characters of the snapshot's uid follow, without its dashes; -1 is the uid as it is.",
)
@click.option(
    "--retry-interval-start", type=GoDuration(), default="1s", metavar="DURATION", help="The pause after a failure."
)
@click.option(
    "--retry-interval-max",
    type=GoDuration(),
    default="5m",
    metavar="DURATION",
    help="The longest pause; it doubles with each failure.",
)
@click.option(
    "--worker-threads",
    type=click.IntRange(1, 10_000),
    metavar="N",
    show_default="100; of snapshots and contents 10",
    help="How many claims, volumes, snapshots and contents are worked on at once, of each.",
)
@click.option(
    "--timeout",
    type=GoDuration(),
    metavar="DURATION",
    show_default="10s; for snapshots 1m",
    help="The time limit of each call.",
)
@true_or_false(
    "--strict-topology",
    default=False,
    help="Ask for a volume at the selected node, nowhere else.",
)
@true_or_false(
    "--immediate-topology",
    default=True,
    help="Name the places of all nodes where no node is selected and the class names none.",
)
@true_or_false(
    "--extra-create-metadata",
    default=False,
    help="Tell the driver the names of claim and volume, or of snapshot and content, as parameters.",
)
@click.option("--default-fstype", default="", metavar="TEXT", help="The file system where a class names none.")
@true_or_false(
    "--controller-publish-readonly",
    default=False,
    help="Call volumes read-only that many nodes read and none writes.",
)
@true_or_false(
    "--prevent-volume-mode-conversion",
    default=True,
    help="Refuse to restore a snapshot with another volume mode, unless it is allowed.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 10_000),
    default=10,
    metavar="N",
    help="How many claims are expanded, and how many volumes modified, at once.",
)
@true_or_false(
    "--handle-volume-inuse-error",
    default=True,
    help="Wait until no pod uses a volume that the driver refused to expand for that.",
)
@true_or_false(
    "--extra-modify-metadata",
    default=False,
    help="Tell the driver the names of claim and volume when it modifies one, as parameters.",
)
@capacity_flags
@node_flags
@sidecar_election
@gate_flags
@endpoint_flags
@reference_flags
@metrics_options(10271)
@log_options
def csi(
    ctx: click.Context,
    /,
    csi_address: str,
    roles: str | None,
    kubeconfig: Path | None,
    context: str | None,
    intents_namespace: str,
    volume_name_prefix: str,
    volume_name_uuid_length: int,
    snapshot_name_prefix: str,
    snapshot_name_uuid_length: int,
    retry_interval_start: float,
    retry_interval_max: float,
    worker_threads: int | None,
    timeout: float | None,
    strict_topology: bool,
    immediate_topology: bool,
    extra_create_metadata: bool,
    default_fstype: str,
    controller_publish_readonly: bool,
    prevent_volume_mode_conversion: bool,
    workers: int,
    handle_volume_inuse_error: bool,
    extra_modify_metadata: bool,
    leader_election: bool,
    leader_election_namespace: str,
    leader_election_lease_duration: float,
    leader_election_renew_deadline: float,
    leader_election_retry_period: float,
    leader_election_labels: str,
    metrics_host: str,
    metrics_port: int,
    no_metrics: bool,
    verbosity: int,
    log_format: LogFormat,
    **more: Any,
) -> int:
    """Provision and resize volumes of claims through a CSI driver, beside any API server.

    What external-provisioner does: it asks the driver for a volume for each claim of the driver's classes, saves it as
    a PersistentVolume, and has it deleted when its claim is gone and its policy says so. What the driver was asked for
    is written down in the cluster first, so that no crash, lost answer or deleted claim leaves a volume behind.

    And external-resizer: volumes grow with their claims, and take on the attributes of the class that the claim names.

    And external-snapshotter, controller and sidecar: it takes snapshots of claims, and deletes them with their objects.

    Run one for each driver; several only with --leader-election, so that one of them works. It stays until Ctrl-C or
    SIGTERM.
    """
    said = {name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if ctx.invoked_subcommand is not None:
        if said:
            raise click.UsageError(f"the options of {ctx.invoked_subcommand} go after it", ctx)
        return 0
    if not volume_name_prefix:
        raise WrongUsageError("--volume-name-prefix is empty", hint="leave it out: volumes are then called pvc-…")
    if not snapshot_name_prefix:
        raise WrongUsageError("--snapshot-name-prefix is empty", hint="leave it out: they are then called snapshot-…")
    if retry_interval_max < retry_interval_start:
        raise WrongUsageError("--retry-interval-max is shorter than --retry-interval-start")
    naming = VolumeNaming(volume_name_prefix, volume_name_uuid_length)
    check_names(naming, intents_namespace)
    check_address(csi_address, "--csi-address")
    check_not_distributed(more["enable_distributed_snapshotting"])
    roles = roles_of(roles, on_nodes=more["node_deployment"])
    provisioner = ProvisionerOptions(
        naming=naming,
        retry_interval_start_seconds=retry_interval_start,
        retry_interval_max_seconds=retry_interval_max,
        worker_threads=worker_threads or PROVISIONER.worker_threads,
        timeout_seconds=timeout or PROVISIONER.timeout_seconds,
        strict_topology=strict_topology,
        immediate_topology=immediate_topology,
        extra_create_metadata=extra_create_metadata,
        default_fstype=default_fstype,
        controller_publish_readonly=controller_publish_readonly,
        prevent_volume_mode_conversion=prevent_volume_mode_conversion,
        cloning_protection_threads=more["cloning_protection_threads"],
        namespace=intents_namespace,
        capacity=capacity_options(more),
        **node_options(more),
    )
    resizer = ResizerOptions(
        retry_interval_start_seconds=retry_interval_start,
        retry_interval_max_seconds=retry_interval_max,
        workers=workers,
        timeout_seconds=timeout or RESIZER.timeout_seconds,
        handle_volume_inuse_error=handle_volume_inuse_error,
        extra_modify_metadata=extra_modify_metadata,
    )
    snapshotter = SnapshotterOptions(
        naming=SnapshotNaming(snapshot_name_prefix, snapshot_name_uuid_length),
        retry_interval_start_seconds=retry_interval_start,
        retry_interval_max_seconds=retry_interval_max,
        worker_threads=worker_threads or SNAPSHOTTER.worker_threads,
        timeout_seconds=timeout or SNAPSHOTTER.timeout_seconds,
        extra_create_metadata=extra_create_metadata,
        prevent_volume_mode_conversion=prevent_volume_mode_conversion,
        namespace=intents_namespace,
    )
    endpoint = endpoint_said(more["http_endpoint"], more["metrics_address"])
    options = ControlOptions(
        kubeconfig=kubeconfig,
        context=context,
        controllers=ControllerOptions(),
        metrics=None if no_metrics else endpoint_of(endpoint, metrics_host, metrics_port),
        metrics_path=metrics_path_of(more["metrics_path"]),
        verbosity=verbosity,
        log_format=log_format,
        server=master_of(more["master"]),
        kube_api_qps=more["kube_api_qps"],
        kube_api_burst=more["kube_api_burst"],
        passed_over=passed_over(more, said),
    )
    from pvbinder.cli.control import control  # the parts that take time to import
    from pvbinder.controllers.csi.declaration import declare_sidecar

    gates = read_gates(more["feature_gates"])
    election = None
    if leader_election:
        election = ElectionOptions(
            leader_election_namespace or namespace_of_pod(),
            lease_seconds=leader_election_lease_duration,
            renew_deadline_seconds=leader_election_renew_deadline,
            retry_seconds=leader_election_retry_period,
            releases=gates[RELEASES],
            labels=dict(read_labels(leader_election_labels, "--leader-election-labels")),
        )
        checked(election, "--leader-election")
    asked = SidecarOptions(
        roles,
        provisioner,
        timeout_seconds=provisioner.timeout_seconds,
        election=election,
        topology=gates[TOPOLOGY],
        resizer=resizer,
        snapshotter=snapshotter,
    )
    return control(options, known=(declare_sidecar(csi_address, asked),))


def roles_of(text: str | None, *, on_nodes: bool) -> str:
    """Return what ``--roles`` says or stands for; raise WrongUsageError, also for roles that can't be `on_nodes`.

    On each node is one sidecar, which knows its own volumes; of expansions and snapshots none knows whose they are.
    """
    if text is None:
        return ON_NODES if on_nodes else ",".join(ROLE_NAMES)
    try:
        chosen = choose_roles(text)
    except UnknownRoleError as error:
        raise WrongUsageError(f"--roles: {error.message}", hint=error.hint) from error
    if on_nodes and any(role.name != ON_NODES for role in chosen):
        raise WrongUsageError(
            f"--node-deployment: of the roles only {ON_NODES} can be done on each node",
            hint="run a sidecar for the others beside a driver that has all volumes, or leave them out",
        )
    return text


def check_address(address: str, flag: str) -> None:
    """Raise WrongUsageError unless `address` can be a driver's socket."""
    from pvbinder.csi.driver import AddressError, socket_of

    try:
        socket_of(address)
    except AddressError as error:
        raise WrongUsageError(f"{flag}: {error.message}") from error
